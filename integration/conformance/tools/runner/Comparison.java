import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.regex.Pattern;

/**
 * Two transcripts line by line. A difference with a reason (file `reasons`) is listed, one without fails its step; so does a step
 * that only one of them has.
 */
final class Comparison {
    /**
     * `side` is `-` for a line of Kafka's alone, `+` for one of ours alone; `=` is a reason for all that differs in a step where we
     * print such a line.
     */
    private record Reason(String text, Pattern step, String side, Pattern line) {}

    private record Difference(char side, String line, Reason reason) {}

    private final List<Reason> reasons = new ArrayList<>();
    private final Map<Transcript.Entry, List<Difference>> differing = new LinkedHashMap<>();
    private final Set<Reason> used = new HashSet<>();
    private final List<String> passed = new ArrayList<>();
    private final List<String> failed = new ArrayList<>();

    /** Lines `# reason` (`##` is a remark), and below it `STEP SIDE LINE`, the first a glob, the last a regular expression. */
    Comparison(Path file) throws IOException {
        String text = "";
        for (String line : Files.readAllLines(file)) {
            if (line.startsWith("##")) {
                continue;
            } else if (line.startsWith("# ")) {
                text = line.substring(2);
            } else if (!line.isBlank()) {
                String[] parts = line.split(" +", 3);
                String glob = parts[0].replace(".", "\\.").replace("*", ".*");
                reasons.add(new Reason(text, Pattern.compile(glob), parts[1], Pattern.compile(parts[2])));
            }
        }
    }

    void compare(Transcript kafka, Transcript ours) {
        for (Transcript.Entry mine : ours.entries().values()) {
            Transcript.Entry theirs = kafka.entries().get(mine.name());
            List<String> expected = theirs != null && theirs.command().equals(mine.command()) ? theirs.lines() : List.of();
            List<Difference> found = differences(mine.name(), expected, mine.lines());
            found = withCommonReason(mine, found);
            if (!found.isEmpty()) {
                differing.put(mine, found);
            }
            (found.stream().allMatch(difference -> difference.reason() != null) ? passed : failed).add(mine.name());
        }
        kafka.entries().keySet().stream().filter(name -> !ours.entries().containsKey(name)).forEach(name -> failed.add(name));
    }

    /** Reasons that explain nothing any more, to be taken out. */
    List<String> unused() {
        return reasons.stream().filter(reason -> !used.contains(reason))
                .map(reason -> reason.step() + " " + reason.side() + " " + reason.line() + " (" + reason.text() + ")").toList();
    }

    private List<Difference> withCommonReason(Transcript.Entry mine, List<Difference> found) {
        Reason common = reasons.stream().filter(each -> each.side().equals("=") && each.step().matcher(mine.name()).matches())
                .filter(each -> mine.lines().stream().anyMatch(line -> each.line().matcher(line).find())).findFirst().orElse(null);
        if (common == null) {
            return found;
        }
        used.add(common);
        return found.stream().map(each -> new Difference(each.side(), each.line(), common)).toList();
    }

    int passed() {
        return passed.size();
    }

    List<String> failed() {
        return failed;
    }

    /** The list that is kept in the repository. */
    void write(Path file) throws IOException {
        StringBuilder text = new StringBuilder("# Where Kafka's tools print something else on Ottla than on Apache Kafka 4.3.1\n\n"
                + "Written by `integration/conformance/tools/run`: " + (passed.size() + failed.size()) + " commands of `script`, "
                + differing.size() + " with a difference, " + failed.size() + " of them without a reason in `reasons`.\n"
                + "A line of Kafka's begins with `-`, a line of Ottla's with `+`; `!` after it marks standard error.\n");
        for (Map.Entry<Transcript.Entry, List<Difference>> each : differing.entrySet()) {
            text.append("\n## ").append(each.getKey().name()).append("\n\n`").append(each.getKey().command()).append("`\n\n```diff\n");
            each.getValue().forEach(difference -> text.append(difference.side()).append(difference.line()).append('\n'));
            text.append("```\n\n");
            each.getValue().stream().map(difference -> difference.reason() == null ? "No reason yet." : difference.reason().text())
                    .distinct().forEach(reason -> text.append("- ").append(reason).append('\n'));
        }
        Files.writeString(file, text);
    }

    /** The differences of one step that have no reason, for the console. */
    String unexplained(String name) {
        StringBuilder text = new StringBuilder();
        differing.forEach((entry, list) -> {
            if (entry.name().equals(name)) {
                text.append("     $ ").append(entry.command()).append('\n');
                list.stream().filter(difference -> difference.reason() == null)
                        .forEach(difference -> text.append("     ").append(difference.side()).append(difference.line()).append('\n'));
            }
        });
        return text.toString();
    }

    private List<Difference> differences(String step, List<String> kafka, List<String> ours) {
        int[][] common = new int[kafka.size() + 1][ours.size() + 1];
        for (int i = kafka.size() - 1; i >= 0; i--) {
            for (int j = ours.size() - 1; j >= 0; j--) {
                common[i][j] = kafka.get(i).equals(ours.get(j))
                        ? common[i + 1][j + 1] + 1
                        : Math.max(common[i + 1][j], common[i][j + 1]);
            }
        }
        List<Difference> found = new ArrayList<>();
        int i = 0;
        int j = 0;
        while (i < kafka.size() || j < ours.size()) {
            if (i < kafka.size() && j < ours.size() && kafka.get(i).equals(ours.get(j))) {
                i++;
                j++;
            } else if (j == ours.size() || i < kafka.size() && common[i + 1][j] >= common[i][j + 1]) {
                found.add(difference(step, '-', kafka.get(i++)));
            } else {
                found.add(difference(step, '+', ours.get(j++)));
            }
        }
        return found;
    }

    private Difference difference(String step, char side, String line) {
        Reason reason = reasons.stream()
                .filter(each -> each.side().indexOf(side) >= 0 && each.step().matcher(step).matches() && each.line().matcher(line).find())
                .findFirst().orElse(null);
        used.add(reason);
        return new Difference(side, line, reason);
    }
}
