package ottla.golden;

import java.lang.reflect.Field;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.Collection;
import java.util.StringJoiner;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.record.internal.MemoryRecords;

/**
 * A message as Rust's {@code Debug} would show it, with null as {@code None} and without {@code Some}: so the values of
 * all fields can be compared, those too that the version lacks.
 */
final class TextForm {
    private TextForm() {}

    static String of(Object value) throws Exception {
        if (value == null) return "None";
        if (value instanceof String text) return '"' + text + '"';
        if (value instanceof Boolean || value instanceof Number || value instanceof Uuid) return value.toString();
        if (value instanceof byte[] bytes) return bytes(bytes);
        if (value instanceof ByteBuffer buffer) return buffer(buffer);
        if (value instanceof MemoryRecords records) return buffer(records.buffer());
        if (value instanceof Collection<?> items) return list(items);
        return struct(value);
    }

    /** FNV-1a, 64 bits, of the text in UTF-8. */
    static String hash(String text) {
        return hash(text.getBytes(StandardCharsets.UTF_8));
    }

    static String hash(byte[] bytes) {
        long hash = 0xcbf29ce484222325L;
        for (byte b : bytes) {
            hash = (hash ^ (b & 0xff)) * 0x100000001b3L;
        }
        return String.format("%016x", hash);
    }

    private static String struct(Object value) throws Exception {
        String name = value.getClass().getSimpleName();
        boolean top = value.getClass().getEnclosingClass() == null;
        if (top && name.matches(".*(Request|Response|Header)Data")) {
            name = name.substring(0, name.length() - "Data".length());
        }
        var fields = new StringJoiner(", ", name + " { ", " }").setEmptyValue(name);
        for (Field field : Main.fields(value.getClass())) {
            String fieldName = Main.snakeCase(field.getName());
            String suffix = fieldName.equals("type") || fieldName.equals("match") ? "_" : "";
            fields.add(fieldName + suffix + ": " + of(field.get(value)));
        }
        return fields.toString();
    }

    private static String list(Collection<?> items) throws Exception {
        var out = new StringJoiner(", ", "[", "]");
        for (Object item : items) {
            out.add(of(item));
        }
        return out.toString();
    }

    private static String buffer(ByteBuffer buffer) {
        byte[] bytes = new byte[buffer.remaining()];
        buffer.duplicate().get(bytes);
        return bytes(bytes);
    }

    private static String bytes(byte[] bytes) {
        var out = new StringBuilder("b\"");
        for (byte b : bytes) {
            switch (b) {
                case '\n' -> out.append("\\n");
                case '\r' -> out.append("\\r");
                case '\t' -> out.append("\\t");
                case '\\' -> out.append("\\\\");
                case '"' -> out.append("\\\"");
                case 0 -> out.append("\\0");
                default -> {
                    if (b >= 0x20 && b < 0x7f) out.append((char) b);
                    else out.append(String.format("\\x%02x", b & 0xff));
                }
            }
        }
        return out.append('"').toString();
    }
}
