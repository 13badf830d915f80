import java.io.IOException;
import java.net.URL;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Pattern;

/** Carries out a script against one system, step after step, and hands each compared outcome to the transcript. */
final class Play {
    private static final long LIMIT_SECONDS = 60;
    private static final long UNTIL_LIMIT_SECONDS = 20;
    private static final long PAUSE_MS = 200;

    private final URL[] jars;
    private final Map<String, String> classes;
    private final Map<String, String> variables;
    private final Rules rules;
    private final Transcript transcript = new Transcript();
    private final Map<String, Invocation> running = new HashMap<>();
    private final Map<String, Script.Step> started = new HashMap<>();
    private final Path work;

    Play(URL[] jars, Map<String, String> classes, Map<String, String> variables) {
        this.jars = jars;
        this.classes = classes;
        this.variables = variables;
        work = Path.of(variables.get("$W"));
        rules = new Rules(variables.get("$B"), variables.get("$D"), variables.get("$W"));
    }

    Transcript play(List<Script.Step> steps) throws Exception {
        for (Script.Step step : steps) {
            long begin = System.nanoTime();
            switch (step.kind()) {
                case HEADING -> transcript.heading(step.name());
                case FILE -> Files.writeString(work.resolve(step.name()), fill(step.input().toString()));
                case COMPARE -> compare(step, invoke(step));
                case SETUP -> setup(step);
                case UNTIL -> until(step);
                case START -> {
                    started.put(step.name(), step);
                    running.put(step.name(), invoke(step));
                }
                case JOIN -> compare(started.get(step.name()), running.remove(step.name()));
                case STOP -> stop(step);
            }
            if (System.getenv("TOOLS_VERBOSE") != null) {
                System.err.printf("%6d ms  line %d: %s %s%n", (System.nanoTime() - begin) / 1_000_000, step.line(), step.name(),
                        step.command());
            }
        }
        return transcript;
    }

    private Invocation invoke(Script.Step step) {
        List<String> words = step.words().stream().map(this::fill).flatMap(word -> List.of(word.split("\0")).stream()).toList();
        String mainClass = classes.get(words.get(0));
        if (mainClass == null) {
            throw new IllegalArgumentException("line " + step.line() + ": no tool is called " + words.get(0));
        }
        Invocation invocation = new Invocation(jars, mainClass, words.subList(1, words.size()), fill(step.input().toString()));
        invocation.start();
        return invocation;
    }

    private String fill(String text) {
        if (text.equals("@")) {
            return "--bootstrap-server\0" + variables.get("$B");
        }
        for (Map.Entry<String, String> variable : variables.entrySet()) {
            text = text.replace(variable.getKey(), variable.getValue());
        }
        return text;
    }

    private void compare(Script.Step step, Invocation invocation) throws InterruptedException {
        int code = invocation.await(LIMIT_SECONDS);
        record(step, code == Invocation.TIMED_OUT ? "timed out" : "exit " + code, invocation);
    }

    private void stop(Script.Step step) throws InterruptedException {
        Invocation invocation = running.remove(step.name());
        String end = invocation.isRunning() ? "stopped" : "ended before it was stopped";
        invocation.terminate(LIMIT_SECONDS);
        record(started.get(step.name()), end, invocation);
    }

    private void record(Script.Step step, String end, Invocation invocation) {
        transcript.add(step.name(), step.command(), end, rules.apply(invocation.standardOutput(), step.rules()),
                rules.apply(invocation.standardError(), step.rules()));
    }

    /** A step that is not compared, and did not do what the others rest on, stands in the transcript, which then differs. */
    private void broken(Script.Step step, String what, Invocation invocation) {
        transcript.add("line-" + step.line(), step.command(), what, rules.apply(invocation.standardOutput(), step.rules()),
                rules.apply(invocation.standardError(), step.rules()));
    }

    private void setup(Script.Step step) throws InterruptedException {
        Invocation invocation = invoke(step);
        int code = invocation.await(LIMIT_SECONDS);
        if (code != 0) {
            broken(step, "exit " + code, invocation);
        }
    }

    private void until(Script.Step step) throws InterruptedException {
        Pattern wanted = Pattern.compile(step.until());
        long end = System.nanoTime() + UNTIL_LIMIT_SECONDS * 1_000_000_000L;
        while (true) {
            Invocation invocation = invoke(step);
            invocation.await(LIMIT_SECONDS);
            if (wanted.matcher(invocation.standardOutput()).find()) {
                return;
            }
            if (System.nanoTime() > end) {
                broken(step, "never printed " + step.until(), invocation);
                return;
            }
            Thread.sleep(PAUSE_MS);
        }
    }
}
