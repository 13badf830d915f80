import com.fasterxml.jackson.core.type.TypeReference;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.ExecutionException;

/** Apache Kafka's client, in the words of contract.py: reads commands, answers each with one line. */
public final class Client {
    private static final ObjectMapper JSON = new ObjectMapper();

    private Client() {}

    /** A command; fields are strings, numbers, booleans and maps as the contract has them. */
    record Command(Map<String, Object> fields) {
        String text(String name) {
            return (String) fields.get(name);
        }

        int number(String name) {
            return ((Number) fields.get(name)).intValue();
        }

        boolean truth(String name) {
            return (boolean) fields.get(name);
        }

        Map<String, Object> base() {
            return new LinkedHashMap<>(Map.of("bootstrap.servers", text("bootstrap")));
        }
    }

    static synchronized void tell(Map<String, ?> line) {
        try {
            System.out.println(JSON.writeValueAsString(line));
            System.out.flush();
        } catch (java.io.IOException error) {
            throw new IllegalStateException(error);
        }
    }

    static Command parse(String line) throws java.io.IOException {
        return new Command(JSON.readValue(line, new TypeReference<Map<String, Object>>() {}));
    }

    private static String words(Throwable error) {
        Throwable cause = error instanceof ExecutionException && error.getCause() != null ? error.getCause() : error;
        return cause.getClass().getSimpleName() + ": " + cause.getMessage();
    }

    private static Map<String, Object> answer(Command command) throws Exception {
        return switch (command.text("op")) {
            case "produce" -> Records.produce(command);
            case "consume" -> Records.consume(command);
            case "version" -> Map.of("version", "kafka-clients " + org.apache.kafka.common.utils.AppInfoParser.getVersion());
            default -> Administration.run(command);
        };
    }

    public static void main(String[] arguments) throws Exception {
        BufferedReader input = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = input.readLine(); line != null; line = input.readLine()) {
            Command command = parse(line);
            if (command.text("op").equals("member")) {
                member(command, input);
                return;
            }
            try {
                Map<String, Object> answer = new LinkedHashMap<>(Map.of("ok", true));
                answer.putAll(answer(command));
                tell(answer);
            } catch (Exception error) {
                tell(Map.of("error", words(error)));
            }
        }
    }

    private static void member(Command command, BufferedReader input) {
        try {
            Member.run(command, input);
        } catch (Exception error) {
            tell(Map.of("event", "error", "error", words(error)));
            Runtime.getRuntime().halt(1);
        }
        tell(Map.of("event", "closed"));
        Runtime.getRuntime().halt(0);
    }
}
