import java.io.BufferedReader;
import java.io.IOException;
import java.time.Duration;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/** A member of a group, which tells what happens to it and does as it is told. */
final class Member implements ConsumerRebalanceListener {
    private final TreeSet<Integer> assigned = new TreeSet<>();

    static void run(Client.Command command, BufferedReader input) {
        Map<String, Object> options = command.base();
        options.putAll(Map.of("group.id", command.text("group"), "auto.offset.reset", "earliest", "enable.auto.commit", false,
            "session.timeout.ms", command.number("session_ms"), "heartbeat.interval.ms", 500));
        if (command.text("instance") != null) {
            options.put("group.instance.id", command.text("instance"));
        }
        BlockingQueue<String> commands = new LinkedBlockingQueue<>();
        Thread reader = new Thread(() -> read(input, commands));
        reader.setDaemon(true);
        reader.start();
        try (var consumer = new KafkaConsumer<>(options, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
            consumer.subscribe(List.of(command.text("topic")), new Member());
            for (String told = null; !"close".equals(told); told = commands.poll()) {
                if ("commit".equals(told)) {
                    consumer.commitSync();
                    Client.tell(Map.of("event", "committed"));
                }
                for (ConsumerRecord<byte[], byte[]> record : consumer.poll(Duration.ofMillis(100))) {
                    Client.tell(Map.of("event", "record", "partition", record.partition(), "offset", record.offset()));
                }
            }
        }
    }

    private static void read(BufferedReader input, BlockingQueue<String> commands) {
        try {
            for (String line = input.readLine(); line != null; line = input.readLine()) {
                commands.add(Client.parse(line).text("op"));
            }
        } catch (IOException error) {
            System.err.println(error);
        }
        commands.add("close");
    }

    private void tell() {
        Client.tell(Map.of("event", "assigned", "partitions", assigned));
    }

    @Override
    public void onPartitionsRevoked(Collection<TopicPartition> partitions) {
        partitions.forEach(each -> assigned.remove(each.partition()));
        tell();
    }

    @Override
    public void onPartitionsAssigned(Collection<TopicPartition> partitions) {
        partitions.forEach(each -> assigned.add(each.partition()));
        tell();
    }
}
