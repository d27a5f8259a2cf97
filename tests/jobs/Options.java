import java.io.Serializable;
import java.util.HashMap;
import java.util.Map;

/** Command line of the form {@code --name value}. */
final class Options implements Serializable {
    private final Map<String, String> values = new HashMap<>();

    Options(String[] args, String... known) {
        for (int i = 0; i < args.length; i += 2) {
            String name = args[i].startsWith("--") ? args[i].substring(2) : "";
            if (!java.util.Arrays.asList(known).contains(name) || i + 1 == args.length) {
                throw new IllegalArgumentException(
                        "bad option '" + args[i] + "'; each takes a value: --" + String.join(" --", known));
            }
            values.put(name, args[i + 1]);
        }
    }

    String text(String name, String otherwise) {
        return values.getOrDefault(name, otherwise);
    }

    long number(String name, long otherwise) {
        return values.containsKey(name) ? Long.parseLong(values.get(name)) : otherwise;
    }
}
