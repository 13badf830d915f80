package ottla.golden;

import java.lang.reflect.Field;
import java.lang.reflect.ParameterizedType;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Random;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.protocol.types.BoundField;
import org.apache.kafka.common.protocol.types.Schema;
import org.apache.kafka.common.protocol.types.TaggedFields;
import org.apache.kafka.common.protocol.types.Type;
import org.apache.kafka.common.record.internal.BaseRecords;
import org.apache.kafka.common.record.internal.MemoryRecords;

/** Fills a message with random values that are valid in one version: only the fields of its schema, null where allowed. */
final class Filler {
    private static final String LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789.-_ABCXYZé€日";
    private final Random random;
    /** Whether most fields keep their default. */
    private final boolean sparse;

    Filler(Random random, boolean sparse) {
        this.random = random;
        this.sparse = sparse;
    }

    void fill(Object message, Schema schema) throws Exception {
        for (BoundField bound : schema.fields()) {
            if (bound.def.type instanceof TaggedFields tagged) {
                for (var field : tagged.fields().values()) {
                    if (random.nextInt(sparse ? 8 : 2) == 0) {
                        set(message, field.name, field.type);
                    }
                }
            } else if (!sparse || isStructure(bound.def.type) || random.nextInt(4) == 0) {
                set(message, bound.def.name, bound.def.type);
            }
        }
    }

    private void set(Object message, String name, Type type) throws Exception {
        for (Field field : Main.fields(message.getClass())) {
            if (Main.snakeCase(field.getName()).equals(name)) {
                field.set(message, value(field, type));
                return;
            }
        }
        throw new IllegalStateException(message.getClass() + " has no field " + name);
    }

    private Object value(Field field, Type type) throws Exception {
        if (type.isNullable() && random.nextInt(4) == 0) {
            return null;
        }
        Class<?> form = field.getType();
        if (Collection.class.isAssignableFrom(form)) {
            return collection(field, type.arrayElementType().orElseThrow());
        }
        return single(form, type);
    }

    private Object collection(Field field, Type elementType) throws Exception {
        Class<?> form = field.getType();
        Class<?> element;
        Collection<Object> out;
        if (field.getGenericType() instanceof ParameterizedType list) {
            element = (Class<?>) list.getActualTypeArguments()[0];
            out = new ArrayList<>();
        } else {
            // A map-like collection: a class of its own that extends one with the element as its parameter.
            element = (Class<?>) ((ParameterizedType) form.getGenericSuperclass()).getActualTypeArguments()[0];
            @SuppressWarnings("unchecked")
            var made = (Collection<Object>) form.getDeclaredConstructor().newInstance();
            out = made;
        }
        int count = random.nextInt(3);
        for (int i = 0; i < count; i++) {
            out.add(single(element, elementType));
        }
        return out;
    }

    private Object single(Class<?> form, Type type) throws Exception {
        if (form == boolean.class || form == Boolean.class) return random.nextBoolean();
        if (form == byte.class || form == Byte.class) return (byte) random.nextInt();
        if (form == short.class || form == Short.class) return (short) random.nextInt();
        if (form == int.class || form == Integer.class) return integer(type);
        if (form == long.class || form == Long.class) return random.nextInt(8) == 0 ? -1L : random.nextLong();
        if (form == double.class) return random.nextInt(1 << 20) / 8.0;
        if (form == String.class) return text();
        if (form == Uuid.class) return new Uuid(random.nextLong(), random.nextLong());
        if (form == byte[].class) return bytes();
        if (form == ByteBuffer.class) return ByteBuffer.wrap(bytes());
        if (form == BaseRecords.class) return MemoryRecords.readableRecords(ByteBuffer.wrap(bytes()));
        Object nested = form.getDeclaredConstructor().newInstance();
        fill(nested, schemaOf(type));
        return nested;
    }

    private static boolean isStructure(Type type) {
        return type.arrayElementType().orElse(type) instanceof Schema;
    }

    private static Schema schemaOf(Type type) {
        return (Schema) type;
    }

    private Object integer(Type type) {
        if (type == Type.UINT16) {
            return random.nextInt(1 << 16);
        }
        return random.nextInt(8) == 0 ? -1 : random.nextInt();
    }

    private String text() {
        // Now and then one whose compact length takes two bytes.
        int length = random.nextInt(40) == 0 ? 120 + random.nextInt(40) : random.nextInt(9);
        var out = new StringBuilder();
        for (int i = 0; i < length; i++) {
            out.append(LETTERS.charAt(random.nextInt(LETTERS.length())));
        }
        return out.toString();
    }

    private byte[] bytes() {
        // Now and then one that is too long to be copied.
        byte[] out = new byte[random.nextInt(16) == 0 ? 1024 + random.nextInt(64) : random.nextInt(20)];
        random.nextBytes(out);
        return out;
    }
}
