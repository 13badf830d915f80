import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.PrintStream;
import java.lang.reflect.Field;
import java.lang.reflect.InvocationTargetException;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.locks.LockSupport;
import org.apache.kafka.common.utils.Exit;

/**
 * One run of a tool's main in this JVM, with streams, exit code and shutdown hooks of its own, as if it had the process to itself.
 *
 * What a thread writes belongs to the run that started it, directly or not. The tool's classes are loaded anew for each run, since
 * they keep static state; those of the clients are shared, and warm. A thread that exits is parked for ever: nothing after its exit
 * is seen, as in a process that ended.
 */
final class Invocation {
    private static final InheritableThreadLocal<Invocation> CURRENT = new InheritableThreadLocal<>();
    private static final long HOOK_LIMIT_SECONDS = 15;
    static final int TIMED_OUT = -1;

    private final ByteArrayOutputStream out = new ByteArrayOutputStream();
    private final ByteArrayOutputStream err = new ByteArrayOutputStream();
    private final InputStream in;
    private final List<Runnable> hooks = new ArrayList<>();
    private final CompletableFuture<Integer> code = new CompletableFuture<>();
    private final Thread thread;

    Invocation(URL[] jars, String mainClass, List<String> arguments, String input) {
        in = new ByteArrayInputStream(input.getBytes(StandardCharsets.UTF_8));
        thread = new Thread(() -> call(jars, mainClass, arguments), "tool");
        thread.setDaemon(true);
    }

    /** Routes the standard streams, and what Kafka's tools do instead of System.exit, to the run of the calling thread. */
    static void takeOver() {
        PrintStream fallback = System.err;
        System.setOut(new PrintStream(new Routed(false, fallback), true, StandardCharsets.UTF_8));
        System.setErr(new PrintStream(new Routed(true, fallback), true, StandardCharsets.UTF_8));
        System.setIn(new RoutedInput());
        Exit.setExitProcedure((code, message) -> CURRENT.get().exit(code));
        Exit.setHaltProcedure((code, message) -> CURRENT.get().exit(code));
        Exit.setShutdownHookAdder((name, hook) -> CURRENT.get().addHook(hook));
    }

    void start() {
        thread.start();
    }

    /** Waits for the end, runs the shutdown hooks, and answers the exit code or TIMED_OUT. */
    int await(long seconds) throws InterruptedException {
        int ended;
        try {
            ended = code.get(seconds, TimeUnit.SECONDS);
        } catch (TimeoutException e) {
            ended = TIMED_OUT;
        } catch (ExecutionException e) {
            throw new IllegalStateException("a code is never completed with an exception", e);
        }
        runHooks();
        if (ended == TIMED_OUT) {
            thread.interrupt();
        }
        return ended;
    }

    /** What SIGTERM does to a tool: its hooks run; the exit code is of no meaning then. */
    void terminate(long seconds) throws InterruptedException {
        runHooks();
        try {
            code.get(seconds, TimeUnit.SECONDS);
        } catch (TimeoutException | ExecutionException e) {
            thread.interrupt();
        }
    }

    boolean isRunning() {
        return !code.isDone();
    }

    String standardOutput() {
        return out.toString(StandardCharsets.UTF_8);
    }

    String standardError() {
        return err.toString(StandardCharsets.UTF_8);
    }

    private void call(URL[] jars, String mainClass, List<String> arguments) {
        CURRENT.set(this);
        ClassLoader loader = new URLClassLoader(jars, Invocation.class.getClassLoader());
        Thread.currentThread().setContextClassLoader(loader);
        try {
            loader.loadClass(mainClass).getMethod("main", String[].class).invoke(null, (Object) arguments.toArray(new String[0]));
            code.complete(0);
        } catch (InvocationTargetException e) {
            System.err.print("Exception in thread \"main\" ");
            e.getCause().printStackTrace();
            code.complete(1);
        } catch (ReflectiveOperationException e) {
            throw new IllegalStateException(e);
        }
    }

    private void exit(int status) {
        code.complete(status);
        while (true) {
            LockSupport.park();
            // An interrupt that stays set would end each following park at once.
            Thread.interrupted();
        }
    }

    private synchronized void addHook(Runnable hook) {
        hooks.add(hook);
    }

    private void runHooks() throws InterruptedException {
        List<Thread> due = new ArrayList<>();
        synchronized (this) {
            for (Runnable hook : hooks) {
                due.add(new Thread(() -> {
                    CURRENT.set(this);
                    hook.run();
                }, "hook"));
            }
            hooks.clear();
        }
        due.addAll(takeHooksOfJvm());
        for (Thread hook : due) {
            hook.setDaemon(true);
            hook.start();
            hook.join(TimeUnit.SECONDS.toMillis(HOOK_LIMIT_SECONDS));
        }
    }

    /**
     * The hooks that a tool gave to the JVM itself; as threads they belong to the run that made them. What a run in the background
     * gave there is taken by the first run that ends: no tool in the background does so. log4j is told to give none.
     */
    @SuppressWarnings("unchecked")
    private static synchronized List<Thread> takeHooksOfJvm() {
        try {
            Field field = Class.forName("java.lang.ApplicationShutdownHooks").getDeclaredField("hooks");
            field.setAccessible(true);
            Map<Thread, Thread> all = (Map<Thread, Thread>) field.get(null);
            List<Thread> taken = List.copyOf(all.keySet());
            taken.forEach(Runtime.getRuntime()::removeShutdownHook);
            return taken;
        } catch (ReflectiveOperationException e) {
            throw new IllegalStateException(e);
        }
    }

    private static final class Routed extends OutputStream {
        private final boolean error;
        private final OutputStream fallback;

        Routed(boolean error, OutputStream fallback) {
            this.error = error;
            this.fallback = fallback;
        }

        private OutputStream target() {
            Invocation current = CURRENT.get();
            return current == null ? fallback : error ? current.err : current.out;
        }

        @Override
        public void write(int b) throws java.io.IOException {
            target().write(b);
        }

        @Override
        public void write(byte[] bytes, int offset, int length) throws java.io.IOException {
            target().write(bytes, offset, length);
        }
    }

    private static final class RoutedInput extends InputStream {
        private static InputStream source() {
            Invocation current = CURRENT.get();
            return current == null ? InputStream.nullInputStream() : current.in;
        }

        @Override
        public int read() throws java.io.IOException {
            return source().read();
        }

        @Override
        public int read(byte[] bytes, int offset, int length) throws java.io.IOException {
            return source().read(bytes, offset, length);
        }

        @Override
        public int available() throws java.io.IOException {
            return source().available();
        }
    }
}
