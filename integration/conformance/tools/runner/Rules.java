import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.TreeMap;
import java.util.regex.Pattern;

/**
 * Takes out of an output what no two runs have in common. The first table goes over every line; a step's own rules (its `~` lines)
 * are named in `apply`. What is left is compared as it is.
 */
final class Rules {
    private record Rule(String name, Pattern pattern, String replacement) {}

    private static final ObjectMapper JSON = new ObjectMapper();
    private final List<Rule> always = new ArrayList<>();

    Rules(String bootstrap, String data, String work) {
        String port = bootstrap.substring(bootstrap.lastIndexOf(':') + 1);
        add("address", "(localhost|127\\.0\\.0\\.1)(/127\\.0\\.0\\.1)?:" + port + "\\b", "SERVER");
        add("other address", "(localhost|127\\.0\\.0\\.1):\\d{2,5}\\b", "ADDRESS");
        add("port alone", "\\b" + port + "\\b", "PORT");
        add("number of a client", "\\b(adminclient|(console|perf)-consumer)-\\d+\\b", "$1-N");
        add("data directory", Pattern.quote(data), "\\$D");
        add("working directory", Pattern.quote(work), "\\$W");
        add("random uuid", "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "UUID");
        add("named id", "(?i)((topic|cluster|directory) ?id: *)[\\w-]{22}\\b", "$1ID");
        add("bare id", "(?<![\\w.-])(?=[A-Za-z_-]*\\d)(?=\\S*[A-Z])(?=\\S*[a-z])[\\w-]{22}(?![\\w.-])", "ID");
        add("time of day", "\\b20\\d\\d-\\d\\d-\\d\\d[T ]\\d\\d:\\d\\d:\\d\\d([.,:]\\d+)?(Z|[+-]\\d\\d:?\\d\\d)?", "TIME");
        add("milliseconds since 1970", "\\b1[5-9]\\d{11}\\b", "MILLIS");
        add("checksum", "\\b((?:crc|CRC)\\s?[:=] ?)\\d+", "$1CRC");
        // Times within a batch are varints.
        add("bytes of a batch", "\\b((?:position|size): )\\d+", "$1BYTES");
        add("listener", "(CONTROLLER://[a-z.0-9]*):\\d+", "$1:PORT");
        add("producer id", "((?:producerId|ProducerId)[:=] ?)\\d+", "$1PID");
        add("column width", "[ \\t]+", " ");
        add("end of line", " +$", "");
    }

    private void add(String name, String pattern, String replacement) {
        always.add(new Rule(name, Pattern.compile(pattern), replacement));
    }

    /** The lines of an output as they are compared. */
    List<String> apply(String output, List<String> own) {
        List<String> lines = new ArrayList<>();
        for (String line : output.split("\\R")) {
            if (!isStackFrame(line)) {
                lines.add(line);
            }
        }
        if (own.contains("json")) {
            // While it is JSON still.
            lines = applyOwn("json", lines);
        }
        lines.replaceAll(this::everywhere);
        for (String rule : own) {
            lines = applyOwn(rule, lines);
        }
        if (own.contains("sort")) {
            lines.sort(Comparator.naturalOrder());
        }
        lines.removeIf(String::isBlank);
        return lines;
    }

    private String everywhere(String line) {
        for (Rule rule : always) {
            line = rule.pattern().matcher(line).replaceAll(rule.replacement());
        }
        return line;
    }

    private static boolean isStackFrame(String line) {
        return line.matches("\\s+at [\\w.$/<>@]+\\(.*\\).*|\\s+\\.\\.\\. \\d+ (common frames omitted|more).*");
    }

    private static List<String> applyOwn(String rule, List<String> lines) {
        int space = rule.indexOf(' ');
        String word = space < 0 ? rule : rule.substring(0, space);
        String rest = space < 0 ? "" : rule.substring(space + 1);
        List<String> result = new ArrayList<>();
        for (String line : lines) {
            switch (word) {
                case "sort" -> result.add(line);
                case "numbers" -> result.add(line.replaceAll("-?\\d+(\\.\\d+)?(E-?\\d+)?", "N"));
                case "only" -> keep(Pattern.compile(rest).matcher(line).find(), line, result);
                case "without" -> keep(!Pattern.compile(rest).matcher(line).find(), line, result);
                case "blank" -> result.add(line.replaceAll(rest, "_"));
                case "items" -> result.addAll(List.of(line.split(rest.isEmpty() ? ", ?" : rest)));
                case "json" -> json(line, result);
                default -> throw new IllegalArgumentException("no such rule: " + rule);
            }
        }
        return result;
    }

    private static void keep(boolean wanted, String line, List<String> result) {
        if (wanted) {
            result.add(line);
        }
    }

    /** A line of JSON, its members and elements in order, one a line. Other lines stay. */
    private static void json(String line, List<String> result) {
        if (!line.startsWith("{") && !line.startsWith("[")) {
            result.add(line);
            return;
        }
        try {
            String text = JSON.writerWithDefaultPrettyPrinter().writeValueAsString(ordered(JSON.readTree(line)));
            result.addAll(List.of(text.split("\n")));
        } catch (JsonProcessingException e) {
            result.add(line);
        }
    }

    private static Object ordered(JsonNode node) {
        if (node.isObject()) {
            TreeMap<String, Object> members = new TreeMap<>();
            node.properties().forEach(member -> members.put(member.getKey(), ordered(member.getValue())));
            return members;
        }
        if (node.isArray()) {
            List<Object> elements = new ArrayList<>();
            node.forEach(element -> elements.add(ordered(element)));
            elements.sort(Comparator.comparing(String::valueOf));
            return elements;
        }
        return node;
    }
}
