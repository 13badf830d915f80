import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** The script as a list of steps. Its syntax is told at the head of the file `script`. Knows nothing of how a step is carried out. */
final class Script {
    enum Kind { COMPARE, SETUP, START, JOIN, STOP, UNTIL, FILE, HEADING }

    /** One step: `rules` are those of its `~` lines, `input` its `<` lines. */
    record Step(int line, Kind kind, String name, String until, List<String> words, List<String> rules, StringBuilder input) {
        String command() {
            return String.join(" ", words);
        }

        Step as(Kind other) {
            return new Step(line, other, name, until, words, rules, input);
        }
    }

    private static final Pattern COMPARED = Pattern.compile("([a-z][a-z0-9-]*): (.*)");
    private static final Pattern UNTIL = Pattern.compile("until /(.*?)/ (.*)");
    /** A word of a command: quoted by ' or ", or without spaces. */
    private static final Pattern WORD = Pattern.compile("'([^']*)'|\"([^\"]*)\"|(\\S+)");

    static List<Step> read(Path file) throws IOException {
        List<Step> steps = new ArrayList<>();
        Set<String> names = new HashSet<>();
        int number = 0;
        for (String line : Files.readAllLines(file)) {
            number++;
            if (line.isBlank() || line.startsWith("#")) {
                continue;
            }
            if (line.startsWith("<")) {
                steps.get(steps.size() - 1).input().append(line.length() > 1 ? line.substring(2) : "").append('\n');
            } else if (line.startsWith("~ ")) {
                steps.get(steps.size() - 1).rules().add(line.substring(2));
            } else {
                Step step = parse(number, line);
                boolean ends = step.kind() == Kind.JOIN || step.kind() == Kind.STOP;
                if (!step.name().isEmpty() && !ends && !names.add(step.name())) {
                    throw new IllegalArgumentException("line " + number + ": a second step is called " + step.name());
                }
                steps.add(step);
            }
        }
        return steps;
    }

    private static Step parse(int number, String line) {
        int space = line.indexOf(' ');
        String first = space < 0 ? line : line.substring(0, space);
        String rest = space < 0 ? "" : line.substring(space + 1);
        switch (first) {
            case "=":
                return step(number, Kind.HEADING, rest, "", "");
            case "setup":
                return step(number, Kind.SETUP, "", "", rest);
            case "file":
                return step(number, Kind.FILE, rest, "", "");
            case "stop":
                return step(number, Kind.STOP, rest, "", "");
            case "join":
                return step(number, Kind.JOIN, rest, "", "");
            case "until":
                Matcher until = UNTIL.matcher(line);
                if (until.matches()) {
                    return step(number, Kind.UNTIL, "", until.group(1), until.group(2));
                }
                break;
            case "start":
                return parse(number, rest).as(Kind.START);
            default:
                Matcher compared = COMPARED.matcher(line);
                if (compared.matches()) {
                    return step(number, Kind.COMPARE, compared.group(1), "", compared.group(2));
                }
        }
        throw new IllegalArgumentException("line " + number + " is no step: " + line);
    }

    private static Step step(int line, Kind kind, String name, String until, String command) {
        List<String> words = new ArrayList<>();
        Matcher word = WORD.matcher(command);
        while (word.find()) {
            words.add(word.group(1) != null ? word.group(1) : word.group(2) != null ? word.group(2) : word.group(3));
        }
        return new Step(line, kind, name, until, words, new ArrayList<>(), new StringBuilder());
    }

    private Script() {}
}
