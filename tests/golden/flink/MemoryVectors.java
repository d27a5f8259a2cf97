// SPDX-License-Identifier: Apache-2.0
// Asks Flink's own BashJavaUtils for the memory of many configurations. Run by ./generate:
//   java -cp <Flink's lib and bash-java-utils.jar> MemoryVectors.java <work directory> <yaml?> <random cases>
// Writes <work directory>/vectors, one line a case: role, settings, "ok", JVM arguments, values of the dynamic properties;
// or role, settings, "error", message. Tab separated. The cases are the same in every run.

import java.io.PrintStream;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.stream.Collectors;

public class MemoryVectors {
    static final String[] TM_ORDER = {
        "framework.heap.size", "framework.off-heap.size", "task.heap.size", "task.off-heap.size",
        "network.min", "network.max", "managed.size", "jvm-metaspace.size", "jvm-overhead.min",
        "jvm-overhead.max"
    };
    static final String[] JM_ORDER = {
        "heap.size", "off-heap.size", "jvm-metaspace.size", "jvm-overhead.min", "jvm-overhead.max"
    };

    static final List<String[]> cases = new ArrayList<>(); // role, then key=value…
    static final Random random = new Random(20251123);

    static void add(String role, String... settings) {
        String[] c = new String[settings.length + 1];
        c[0] = role;
        System.arraycopy(settings, 0, c, 1, settings.length);
        cases.add(c);
    }

    static void handPicked() {
        String[] totals = {
            "0", "1", "64m", "192m", "447m", "448m", "449m", "575m", "576m", "577m", "981m", "982m",
            "983m", "1g", "1600m", "1728m", "2g", "2000000000b", "4g", "4096m", "8g", "10240m",
            "10241m", "11g", "20g", "64g", "1t", "100t", "9223372036854775807"
        };
        for (String t : totals) {
            add("tm", "memory.process.size=" + t);
            add("tm", "memory.flink.size=" + t);
            add("tm", "memory.process.size=" + t, "memory.managed.size=0");
            add("jm", "memory.process.size=" + t);
            add("jm", "memory.flink.size=" + t);
            add("jm", "memory.heap.size=" + t);
        }
        add("tm");
        add("jm");
        add("tm", "memory.task.heap.size=1g");
        add("tm", "memory.managed.size=1g");
        add("tm", "memory.task.heap.size=1g", "memory.managed.size=1g");
        add("tm", "memory.task.heap.size=0", "memory.managed.size=0");
        add("tm", "memory.task.heap.size=1g", "memory.managed.size=1g", "memory.flink.size=3g");
        add("tm", "memory.task.heap.size=1g", "memory.managed.size=1g", "memory.flink.size=2g");
        add("tm", "memory.task.heap.size=1g", "memory.managed.size=1g", "memory.process.size=3g");
        add("tm", "memory.task.heap.size=1g", "memory.managed.size=1g", "memory.process.size=2g");
        add("tm", "memory.task.heap.size=1g", "memory.managed.size=1g", "memory.flink.size=3g",
            "memory.process.size=4g");
        add("tm", "memory.task.heap.size=1g", "memory.process.size=4g");
        add("tm", "memory.task.heap.size=1g", "memory.process.size=2g");
        add("tm", "memory.task.heap.size=3g", "memory.process.size=4g");
        add("tm", "memory.task.heap.size=1g", "memory.process.size=4g", "memory.network.max=64m");
        add("tm", "memory.flink.size=2g", "memory.process.size=2g");
        add("tm", "memory.flink.size=2g", "memory.process.size=3g");
        add("tm", "memory.flink.size=2g", "memory.process.size=4g");
        add("tm", "memory.flink.size=1g", "memory.process.size=1472m");
        add("tm", "memory.flink.size=1g", "memory.process.size=1471m");
        for (String f : new String[] {"0", "-0.0", "0.0", "1e-3", "0.1", "0.10", ".5", "0.3333333", "0.9",
            "0.99", "0.9999999", "0.99999999", "1", "1.5", "-0.1", "1e-40", "x", "", "0.25f", "0.5d", "NaN"}) {
            add("tm", "memory.process.size=4g", "memory.managed.fraction=" + f);
            add("tm", "memory.process.size=4g", "memory.network.fraction=" + f);
            add("tm", "memory.process.size=4g", "memory.jvm-overhead.fraction=" + f);
            add("tm", "memory.flink.size=4g", "memory.jvm-overhead.fraction=" + f);
            add("tm", "memory.flink.size=400g", "memory.jvm-overhead.max=8000t",
                "memory.jvm-overhead.fraction=" + f);
            add("jm", "memory.process.size=4g", "memory.jvm-overhead.fraction=" + f);
            add("tm", "memory.task.heap.size=1g", "memory.managed.size=1g",
                "memory.network.fraction=" + f);
        }
        for (String bad : new String[] {"1Gi", "1.5g", "-1", "-1m", "m", "1gg", "9223372036854775808", "8388608t"}) {
            add("tm", "memory.process.size=" + bad);
            add("tm", "memory.process.size=4g", "memory.jvm-metaspace.size=" + bad);
            add("tm", "memory.process.size=4g", "memory.managed.size=" + bad);
            add("tm", "memory.flink.size=4g", "memory.process.size=" + bad);
            add("jm", "memory.process.size=4g", "memory.off-heap.size=" + bad);
        }
        add("tm", "memory.process.size=4g", "memory.network.min=1g", "memory.network.max=512m");
        add("tm", "memory.process.size=4g", "memory.jvm-overhead.min=2g");
        add("tm", "memory.process.size=4g", "memory.jvm-overhead.min=2g", "memory.jvm-overhead.max=2g");
        add("tm", "memory.process.size=4g", "memory.network.min=128m", "memory.network.max=128m");
        add("tm", "memory.process.size=4g", "network.memory.min=100m", "network.memory.max=100m");
        add("tm", "memory.process.size=4g", "memory.size=1g");
        add("tm", "memory.process.size=4g", "memory.framework.heap.size=8000000t");
        add("tm", "memory.process.size=4g", "memory.framework.heap.size=8000000t",
            "memory.framework.off-heap.size=8000000t");
        add("tm", "memory.process.size=4g", "memory.jvm-metaspace.size=8388607t",
            "memory.jvm-overhead.min=8388607t", "memory.jvm-overhead.max=8388607t");
        add("tm", "memory.task.heap.size=8388607t", "memory.managed.size=1t");
        add("tm", "memory.process.size=4g", "cpu.cores=0.5", "numberOfTaskSlots=7");
        add("tm", "memory.process.size=4g", "cpu.cores=10", "numberOfTaskSlots=3");
        add("tm", "memory.process.size=4g", "numberOfTaskSlots=12");
        add("jm", "memory.heap.size=1g", "memory.flink.size=1g");
        add("jm", "memory.heap.size=1g", "memory.flink.size=1152m");
        add("jm", "memory.heap.size=1g", "memory.flink.size=1000m");
        add("jm", "memory.heap.size=1g", "memory.flink.size=2g", "memory.off-heap.size=1g");
        add("jm", "memory.heap.size=1g", "memory.flink.size=2g", "memory.off-heap.size=512m");
        add("jm", "memory.heap.size=1g", "memory.process.size=2g");
        add("jm", "memory.heap.size=1g", "memory.process.size=1g");
        add("jm", "memory.flink.size=1g", "memory.process.size=2g");
        add("jm", "memory.process.size=1600m", "memory.enable-jvm-direct-memory-limit=true");
        add("jm", "memory.process.size=1600m", "memory.enable-jvm-direct-memory-limit=TRUE");
        add("jm", "memory.process.size=1600m", "memory.enable-jvm-direct-memory-limit=yes");
        // options of Flink 1.9, gone in 2.0
        add("tm", "heap.size=2g");
        add("tm", "heap.mb=2048");
        add("tm", "heap.mb=-1");
        add("tm", "heap.size=2g", "heap.mb=1");
        add("tm", "heap.size=2g", "memory.process.size=4g");
        add("tm", "heap.size=2g", "memory.flink.size=1g");
        add("jm", "heap.size=2g");
        add("jm", "heap.mb=2048");
        add("jm", "heap.size=2g", "memory.process.size=3g");
        add("tm", "memory.process.size=4g", "network.numberOfBuffers=2048");
        add("tm", "memory.process.size=4g", "network.numberOfBuffers=4096", "memory.segment-size=16k");
        add("tm", "memory.process.size=4g", "network.numberOfBuffers=4096", "memory.segment-size=10k");
        add("tm", "memory.process.size=4g", "network.numberOfBuffers=4096", "memory.segment-size=2k");
        add("tm", "memory.process.size=4g", "network.numberOfBuffers=2048", "memory.network.fraction=0.2");
        add("tm", "memory.process.size=4g", "network.numberOfBuffers=x");
        add("tm", "memory.task.heap.size=1g", "memory.managed.size=1g", "network.numberOfBuffers=2048");
        add("tm", "memory.task.heap.size=1g", "memory.flink.size=2g", "network.numberOfBuffers=2048");
    }

    static String size(long lowMb, long highMb) {
        long mb = lowMb + (long) (random.nextDouble() * (highMb - lowMb));
        switch (random.nextInt(4)) {
            case 0:
                return mb + "m";
            case 1:
                return mb * 1024 + random.nextInt(1024) + "k";
            case 2:
                return (mb << 20) + random.nextInt(1 << 20) + "b";
            default:
                return String.valueOf((mb << 20) + random.nextInt(1 << 20));
        }
    }

    static void maybe(List<String> to, double probability, String key, String value) {
        if (random.nextDouble() < probability) {
            to.add(key + "=" + value);
        }
    }

    static String fraction() {
        String text = String.format("%." + (1 + random.nextInt(8)) + "f", random.nextDouble() * 0.6);
        return text;
    }

    static void atRandom(int n) {
        for (int i = 0; i < n; i++) {
            List<String> s = new ArrayList<>();
            boolean tm = i % 3 != 0;
            long scale = 1L << (8 + random.nextInt(10));
            int way = random.nextInt(8);
            if (way != 1 && way != 2) {
                s.add("memory.process.size=" + size(scale, 4 * scale));
            }
            if (way == 1 || way == 3) {
                s.add("memory.flink.size=" + size(scale, 3 * scale));
            }
            if (way == 2 || way == 4) {
                s.add((tm ? "memory.task.heap.size=" : "memory.heap.size=") + size(0, 2 * scale));
            }
            if (tm && (way == 2 || way == 5)) {
                s.add("memory.managed.size=" + size(0, scale));
            }
            if (tm) {
                maybe(s, 0.2, "memory.framework.heap.size", size(0, 256));
                maybe(s, 0.2, "memory.framework.off-heap.size", size(0, 256));
                maybe(s, 0.2, "memory.task.off-heap.size", size(0, 512));
                maybe(s, 0.2, "memory.network.min", size(0, 256));
                maybe(s, 0.2, "memory.network.max", size(64, 1024));
                maybe(s, 0.2, "memory.network.fraction", fraction());
                maybe(s, 0.2, "memory.managed.fraction", fraction());
            } else {
                maybe(s, 0.4, "memory.off-heap.size", size(0, 512));
                maybe(s, 0.3, "memory.enable-jvm-direct-memory-limit", String.valueOf(random.nextBoolean()));
            }
            maybe(s, 0.2, "memory.jvm-metaspace.size", size(0, 512));
            maybe(s, 0.3, "memory.jvm-overhead.min", size(0, 256));
            maybe(s, 0.3, "memory.jvm-overhead.max", size(128, 2048));
            maybe(s, 0.3, "memory.jvm-overhead.fraction", fraction());
            add(tm ? "tm" : "jm", s.toArray(new String[0]));
        }
    }

    static String prefix(String role) {
        return role.equals("tm") ? "taskmanager." : "jobmanager.";
    }

    static String run(Method runCommand, Class<?> command, Path dir, boolean yaml, String[] c) throws Exception {
        StringBuilder conf = new StringBuilder(yaml ? "x: y\n" : "");
        for (int i = 1; i < c.length; i++) {
            String[] kv = c[i].split("=", 2);
            conf.append(prefix(c[0])).append(kv[0]).append(": ");
            conf.append(yaml ? "\"" + kv[1] + "\"" : kv[1]).append('\n');
        }
        Files.writeString(dir.resolve(yaml ? "config.yaml" : "flink-conf.yaml"), conf);
        Object verb = command.getMethod("valueOf", String.class)
                .invoke(null, c[0].equals("tm") ? "GET_TM_RESOURCE_PARAMS" : "GET_JM_RESOURCE_PARAMS");
        List<?> out;
        try {
            out = (List<?>) runCommand.invoke(null, verb, new String[] {"--configDir", dir.toString()});
        } catch (InvocationTargetException e) {
            Throwable t = e.getCause();
            while (t.getCause() != null && t.getMessage() != null && t.getMessage().contains("Cannot read")) {
                t = t.getCause();
            }
            return "error\t" + String.valueOf(t.getMessage()).replaceAll("\\s+", " ");
        }
        Map<String, String> properties = new LinkedHashMap<>();
        for (String p : out.get(1).toString().replace("-D ", "").split(" ")) {
            String[] kv = p.split("=", 2);
            properties.put(kv[0], kv[1]);
        }
        List<String> values = new ArrayList<>();
        if (c[0].equals("tm")) {
            values.add(properties.get("taskmanager.cpu.cores"));
            for (String k : TM_ORDER) {
                values.add(properties.get("taskmanager.memory." + k));
            }
            values.add(properties.get("taskmanager.numberOfTaskSlots"));
        } else {
            for (String k : JM_ORDER) {
                values.add(properties.get("jobmanager.memory." + k));
            }
        }
        return "ok\t" + out.get(0) + "\t" + values.stream().collect(Collectors.joining(" "));
    }

    public static void main(String[] args) throws Exception {
        Path dir = Path.of(args[0]);
        Class<?> utils = Class.forName("org.apache.flink.runtime.util.bash.BashJavaUtils");
        Class<?> command = Class.forName("org.apache.flink.runtime.util.bash.BashJavaUtils$Command");
        Method runCommand = utils.getDeclaredMethod("runCommand", command, String[].class);
        runCommand.setAccessible(true);
        boolean yaml = Boolean.parseBoolean(args[1]);
        handPicked();
        atRandom(Integer.parseInt(args[2]));
        try (PrintStream out = new PrintStream(dir.resolve("vectors").toFile())) {
            for (String[] c : cases) {
                String settings = String.join(" ", Arrays.copyOfRange(c, 1, c.length));
                out.println(c[0] + "\t" + settings + "\t" + run(runCommand, command, dir, yaml, c));
            }
        }
    }
}
