package ottla.golden;

import java.io.IOException;
import java.io.Writer;
import java.lang.reflect.Field;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.Random;
import java.util.TreeMap;
import org.apache.kafka.common.errors.UnsupportedVersionException;
import org.apache.kafka.common.message.*;
import org.apache.kafka.common.protocol.ApiMessage;
import org.apache.kafka.common.protocol.ByteBufferAccessor;
import org.apache.kafka.common.protocol.Message;
import org.apache.kafka.common.protocol.ObjectSerializationCache;
import org.apache.kafka.common.protocol.types.Schema;

/**
 * Writes one line per message, version and sample: name, version, sample, hash of the text form, base64 of the bytes;
 * for the highest version also what becomes of the value in each older one.
 * The same program always writes the same file. Arguments: the file; then, to see text forms, a message's name.
 */
public final class Main {
    /** Samples per message and version: the first is the default value, the others are random. */
    private static final int SAMPLES = 10;
    /** Samples of the highest version with few fields set, so that some can be said in older versions too. */
    private static final int SPARSE_SAMPLES = 24;
    /** Attempts at a random sample that the encoder accepts. */
    private static final int ATTEMPTS = 20;

    public static void main(String[] args) throws Exception {
        String show = args.length > 1 ? args[1] : "";
        try (Writer out = Files.newBufferedWriter(Path.of(args[0]), StandardCharsets.US_ASCII)) {
            for (var entry : classes().entrySet()) {
                writeMessage(out, entry.getKey(), entry.getValue(), show);
            }
        }
    }

    /** Every message of kafka-clients by its name in Kafka's protocol. */
    private static TreeMap<String, Class<? extends Message>> classes() {
        var all = new TreeMap<String, Class<? extends Message>>();
        for (ApiMessageType type : ApiMessageType.values()) {
            if (type.lowestSupportedVersion() > type.highestSupportedVersion(true)) {
                continue; // A reserved key.
            }
            for (ApiMessage message : List.of(type.newRequest(), type.newResponse())) {
                all.put(message.getClass().getSimpleName().replaceFirst("Data$", ""), message.getClass());
            }
        }
        all.put("RequestHeader", RequestHeaderData.class);
        all.put("ResponseHeader", ResponseHeaderData.class);
        for (Class<? extends Message> other : List.of(
                ConsumerProtocolAssignment.class, ConsumerProtocolSubscription.class, ControlRecordTypeSchema.class,
                DefaultPrincipalData.class, EndTxnMarker.class, KRaftVersionRecord.class, LeaderChangeMessage.class,
                SnapshotFooterRecord.class, SnapshotHeaderRecord.class, VotersRecord.class)) {
            all.put(other.getSimpleName(), other);
        }
        return all;
    }

    private static void writeMessage(Writer out, String name, Class<? extends Message> type, String show)
            throws Exception {
        Schema[] schemas = (Schema[]) type.getField("SCHEMAS").get(null);
        Message empty = type.getDeclaredConstructor().newInstance();
        short highest = empty.highestSupportedVersion();
        for (short version = empty.lowestSupportedVersion(); version <= highest; version++) {
            int samples = version == highest ? SAMPLES + SPARSE_SAMPLES : SAMPLES;
            for (int sample = 0; sample < samples; sample++) {
                Message message = sample(name, type, schemas[version], version, sample);
                if (message == null) {
                    continue;
                }
                String text = TextForm.of(message);
                if (name.equals(show)) {
                    System.out.println(name + " " + version + " " + sample + " " + text);
                }
                out.write(name + " " + version + " " + sample + " " + TextForm.hash(text) + " "
                    + Base64.getEncoder().encodeToString(encode(message, version))
                    + (version == highest ? olderVersions(message) : "") + "\n");
            }
        }
    }

    /** A message that the encoder accepts; null if it does not accept the default. */
    private static Message sample(
            String name, Class<? extends Message> type, Schema schema, short version, int sample)
            throws Exception {
        for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
            long seed = (name + "/" + version + "/" + sample + "/" + attempt).hashCode();
            Message message = type.getDeclaredConstructor().newInstance();
            if (sample > 0) {
                new Filler(new Random(seed), sample >= SAMPLES).fill(message, schema);
            }
            try {
                encode(message, version);
                return message;
            } catch (NullPointerException notNullable) {
                // Kafka's schema calls all records nullable, its encoder does not.
            }
        }
        if (sample == 0) {
            return null;
        }
        throw new IOException(name + " version " + version + " could not be filled");
    }

    /** The same value in each older version: the hash of its bytes, or ! if the encoder refuses to lose a field. */
    private static String olderVersions(Message message) {
        var out = new StringBuilder();
        for (short version = message.lowestSupportedVersion(); version < message.highestSupportedVersion(); version++) {
            String word;
            try {
                word = TextForm.hash(encode(message, version));
            } catch (UnsupportedVersionException | NullPointerException refused) {
                word = "!";
            }
            out.append(' ').append(version).append(':').append(word);
        }
        return out.toString();
    }

    private static byte[] encode(Message message, short version) {
        var cache = new ObjectSerializationCache();
        ByteBuffer buffer = ByteBuffer.allocate(message.size(cache, version));
        message.write(new ByteBufferAccessor(buffer), cache, version);
        if (buffer.hasRemaining()) {
            throw new IllegalStateException("size and bytes differ");
        }
        return buffer.array();
    }

    /** The fields of a message in the order of its definition, without Kafka's own additions. */
    static List<Field> fields(Class<?> type) {
        var fields = new ArrayList<Field>();
        for (Field field : type.getDeclaredFields()) {
            boolean ours = !java.lang.reflect.Modifier.isStatic(field.getModifiers())
                && !field.getName().startsWith("_")
                && !field.getName().equals("next") && !field.getName().equals("prev");
            if (ours) {
                field.setAccessible(true);
                fields.add(field);
            }
        }
        return fields;
    }

    /** Kafka's own rule for names in schemas. */
    static String snakeCase(String name) {
        var out = new StringBuilder();
        boolean afterCapital = true;
        for (char c : (Character.toUpperCase(name.charAt(0)) + name.substring(1)).toCharArray()) {
            boolean capital = Character.isUpperCase(c);
            if (capital && !afterCapital) {
                out.append('_');
            }
            afterCapital = capital;
            out.append(Character.toLowerCase(c));
        }
        return out.toString();
    }
}
