import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * What the compared steps printed, in order; as a file: `= heading`, `$ name: command`, then its lines, which begin with `exit` or
 * the like, with two spaces (standard output) or with `! ` (standard error).
 */
final class Transcript {
    record Entry(String name, String heading, String command, List<String> lines) {}

    private final Map<String, Entry> entries = new LinkedHashMap<>();
    private String heading = "";

    void heading(String text) {
        heading = text;
    }

    void add(String name, String command, String end, List<String> out, List<String> err) {
        List<String> lines = new ArrayList<>(List.of(end));
        out.forEach(line -> lines.add("  " + line));
        err.forEach(line -> lines.add("! " + line));
        entries.put(name, new Entry(name, heading, command, lines));
    }

    Map<String, Entry> entries() {
        return entries;
    }

    void write(Path file) throws IOException {
        StringBuilder text = new StringBuilder();
        String last = "";
        for (Entry entry : entries.values()) {
            if (!entry.heading().equals(last)) {
                text.append(text.isEmpty() ? "" : "\n").append("= ").append(entry.heading()).append('\n');
                last = entry.heading();
            }
            text.append("$ ").append(entry.name()).append(": ").append(entry.command()).append('\n');
            entry.lines().forEach(line -> text.append(line).append('\n'));
        }
        Files.writeString(file, text);
    }

    static Transcript read(Path file) throws IOException {
        Transcript transcript = new Transcript();
        List<String> lines = null;
        for (String line : Files.readAllLines(file)) {
            if (line.startsWith("= ")) {
                transcript.heading(line.substring(2));
            } else if (line.startsWith("$ ")) {
                int colon = line.indexOf(": ");
                lines = new ArrayList<>();
                String name = line.substring(2, colon);
                transcript.entries.put(name, new Entry(name, transcript.heading, line.substring(colon + 2), lines));
            } else if (!line.isEmpty()) {
                lines.add(line);
            }
        }
        return transcript;
    }
}
