import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.GroupListing;
import org.apache.kafka.clients.admin.ListConsumerGroupOffsetsSpec;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.RecordsToDelete;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;

/** The admin operations. */
final class Administration {
    private Administration() {}

    static Map<String, Object> run(Client.Command command) throws Exception {
        try (Admin admin = Admin.create(command.base())) {
            String op = command.text("op");
            if (op.startsWith("group")) {
                return ofGroups(admin, command);
            }
            return ofTopics(admin, command);
        }
    }

    private static TopicPartition partition(Client.Command command) {
        return new TopicPartition(command.text("topic"), command.number("partition"));
    }

    private static Map<String, Object> ofTopics(Admin admin, Client.Command command) throws Exception {
        String topic = command.text("topic");
        switch (command.text("op")) {
            case "topic-create" -> create(admin, command);
            case "topic-list" -> {
                return Map.of("topics", admin.listTopics().names().get());
            }
            case "topic-describe" -> {
                return Map.of("partitions", admin.describeTopics(List.of(topic)).allTopicNames().get().get(topic).partitions().size());
            }
            case "topic-delete" -> admin.deleteTopics(List.of(topic)).all().get();
            case "partitions-create" ->
                admin.createPartitions(Map.of(topic, NewPartitions.increaseTo(command.number("total")))).all().get();
            case "configs-describe" -> {
                return Map.of("configs", configs(admin, topic));
            }
            case "configs-alter" -> alter(admin, command);
            case "offsets-list" -> {
                return Map.of("earliest", offset(admin, command, OffsetSpec.earliest()),
                    "latest", offset(admin, command, OffsetSpec.latest()));
            }
            case "records-delete" ->
                admin.deleteRecords(Map.of(partition(command), RecordsToDelete.beforeOffset(command.number("offset")))).all().get();
            default -> throw new IllegalArgumentException(command.text("op"));
        }
        return Map.of();
    }

    @SuppressWarnings("unchecked")
    private static void create(Admin admin, Client.Command command) throws Exception {
        NewTopic topic = new NewTopic(command.text("topic"), command.number("partitions"), (short) 1);
        topic.configs((Map<String, String>) command.fields().get("configs"));
        admin.createTopics(List.of(topic)).all().get();
    }

    private static Map<String, String> configs(Admin admin, String topic) throws Exception {
        ConfigResource resource = new ConfigResource(ConfigResource.Type.TOPIC, topic);
        Map<String, String> found = new HashMap<>();
        for (ConfigEntry entry : admin.describeConfigs(List.of(resource)).all().get().get(resource).entries()) {
            found.put(entry.name(), entry.value());
        }
        return found;
    }

    private static void alter(Admin admin, Client.Command command) throws Exception {
        ConfigResource resource = new ConfigResource(ConfigResource.Type.TOPIC, command.text("topic"));
        Collection<AlterConfigOp> set =
            List.of(new AlterConfigOp(new ConfigEntry(command.text("key"), command.text("value")), AlterConfigOp.OpType.SET));
        admin.incrementalAlterConfigs(Map.of(resource, set)).all().get();
    }

    private static long offset(Admin admin, Client.Command command, OffsetSpec at) throws Exception {
        return admin.listOffsets(Map.of(partition(command), at)).partitionResult(partition(command)).get().offset();
    }

    private static Map<String, Object> ofGroups(Admin admin, Client.Command command) throws Exception {
        String group = command.text("group");
        switch (command.text("op")) {
            case "groups-list" -> {
                return Map.of("groups", admin.listGroups().all().get().stream().map(GroupListing::groupId).toList());
            }
            case "group-describe" -> {
                var described = admin.describeConsumerGroups(List.of(group)).all().get().get(group);
                return Map.of("state", described.groupState().toString(), "members", described.members().size());
            }
            case "group-delete" -> admin.deleteConsumerGroups(List.of(group)).all().get();
            case "group-offsets" -> {
                return Map.of("offsets", offsets(admin, group, command.text("topic")));
            }
            case "group-offsets-alter" -> {
                var to = new OffsetAndMetadata(command.number("offset"), Optional.empty(), "");
                admin.alterConsumerGroupOffsets(group, Map.of(partition(command), to)).all().get();
            }
            default -> throw new IllegalArgumentException(command.text("op"));
        }
        return Map.of();
    }

    private static Map<Integer, Long> offsets(Admin admin, String group, String topic) throws Exception {
        Map<Integer, Long> found = new HashMap<>();
        var all = admin.listConsumerGroupOffsets(Map.of(group, new ListConsumerGroupOffsetsSpec()));
        all.partitionsToOffsetAndMetadata(group).get().forEach((partition, committed) -> {
            if (partition.topic().equals(topic)) {
                found.put(partition.partition(), committed.offset());
            }
        });
        return found;
    }
}
