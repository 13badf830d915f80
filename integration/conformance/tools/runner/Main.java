import java.net.URL;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * `play BOOTSTRAP DATA WORK TRANSCRIPT`: plays the script against the system at BOOTSTRAP, whose partitions are in DATA.
 * `compare KAFKA OURS DIFFERENCES`: compares two transcripts.
 * System properties: `tools.home` (folder of script and reasons), `tools.jars` (jars with the tools' classes, by `:`) and
 * `tools.table` (file with a tool's name and class a line).
 */
public final class Main {
    public static void main(String[] arguments) throws Exception {
        boolean good = arguments[0].equals("play") ? play(arguments) : compare(arguments);
        // Tools leave threads behind; they are not waited for.
        Runtime.getRuntime().halt(good ? 0 : 1);
    }

    private static boolean play(String[] arguments) throws Exception {
        Map<String, String> variables = new LinkedHashMap<>();
        variables.put("$B", arguments[1]);
        variables.put("$D", arguments[2]);
        variables.put("$W", arguments[3]);
        List<URL> jars = new ArrayList<>();
        for (String jar : System.getProperty("tools.jars").split(":")) {
            jars.add(Path.of(jar).toUri().toURL());
        }
        Map<String, String> classes = new HashMap<>();
        for (String line : Files.readAllLines(Path.of(System.getProperty("tools.table")))) {
            classes.put(line.split(" ")[0], line.split(" ")[1]);
        }
        List<Script.Step> steps = Script.read(home("script"));
        Invocation.takeOver();
        Transcript transcript = new Play(jars.toArray(new URL[0]), classes, variables).play(steps);
        transcript.write(Path.of(arguments[4]));
        return true;
    }

    private static boolean compare(String[] arguments) throws Exception {
        Comparison comparison = new Comparison(home("reasons"));
        comparison.compare(Transcript.read(Path.of(arguments[1])), Transcript.read(Path.of(arguments[2])));
        comparison.write(Path.of(arguments[3]));
        for (String name : comparison.failed()) {
            System.out.println("FAIL " + name);
            System.out.print(comparison.unexplained(name));
        }
        comparison.unused().forEach(reason -> System.out.println("     a reason that explains nothing: " + reason));
        System.out.printf("%d passed, %d failed%n", comparison.passed(), comparison.failed().size());
        return comparison.failed().isEmpty();
    }

    private static Path home(String name) {
        return Path.of(System.getProperty("tools.home"), name);
    }

    private Main() {}
}
