import java.io.ByteArrayOutputStream;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/** Lines of a file into a partition, and back. */
final class Records {
    /** A command that takes longer has failed. */
    static final Duration PATIENCE = Duration.ofSeconds(60);

    private Records() {}

    static Map<String, Object> produce(Client.Command command) throws Exception {
        Map<String, Object> options = command.base();
        options.putAll(Map.of("compression.type", command.text("codec"), "acks", "all", "linger.ms", 20,
            "enable.idempotence", command.truth("idempotent")));
        List<Future<?>> sent = new ArrayList<>();
        try (var producer = new KafkaProducer<>(options, new ByteArraySerializer(), new ByteArraySerializer())) {
            for (byte[][] line : lines(Files.readAllBytes(Path.of(command.text("file"))))) {
                sent.add(producer.send(new ProducerRecord<>(command.text("topic"), command.number("partition"), line[0], line[1])));
            }
            for (Future<?> each : sent) {
                each.get(PATIENCE.toSeconds(), TimeUnit.SECONDS);
            }
        }
        return Map.of("count", sent.size());
    }

    /** Key and value of each line. */
    private static List<byte[][]> lines(byte[] bytes) {
        List<byte[][]> found = new ArrayList<>();
        int start = 0;
        int tab = -1;
        for (int at = 0; at < bytes.length; at++) {
            if (bytes[at] == '\t' && tab < start) {
                tab = at;
            } else if (bytes[at] == '\n') {
                found.add(new byte[][] {Arrays.copyOfRange(bytes, start, tab), Arrays.copyOfRange(bytes, tab + 1, at)});
                start = at + 1;
            }
        }
        return found;
    }

    static Map<String, Object> consume(Client.Command command) throws Exception {
        Map<String, Object> options = command.base();
        options.put("enable.auto.commit", false);
        TopicPartition from = new TopicPartition(command.text("topic"), command.number("partition"));
        int count = command.number("count");
        ByteArrayOutputStream lines = new ByteArrayOutputStream();
        try (var consumer = new KafkaConsumer<>(options, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
            consumer.assign(List.of(from));
            if (command.fields().get("offset") instanceof Number offset) {
                consumer.seek(from, offset.longValue());
            } else {
                consumer.seekToBeginning(List.of(from));
            }
            long end = System.nanoTime() + PATIENCE.toNanos();
            for (int seen = 0; seen < count; ) {
                if (System.nanoTime() > end) {
                    throw new TimeoutException(seen + " of " + count + " records after " + PATIENCE.toSeconds() + " s");
                }
                for (ConsumerRecord<byte[], byte[]> record : consumer.poll(Duration.ofSeconds(1))) {
                    if (seen++ < count) {
                        write(lines, record);
                    }
                }
            }
        }
        Files.write(Path.of(command.text("file")), lines.toByteArray());
        return Map.of();
    }

    private static void write(OutputStream to, ConsumerRecord<byte[], byte[]> record) throws java.io.IOException {
        to.write(record.key());
        to.write('\t');
        to.write(record.value());
        to.write('\n');
    }
}
