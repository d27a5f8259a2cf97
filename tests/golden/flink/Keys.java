// SPDX-License-Identifier: Apache-2.0
import java.lang.reflect.Field;
import java.lang.reflect.Modifier;
import java.util.TreeSet;
import org.apache.flink.configuration.ConfigOption;

/** Prints the keys of Flink's options that shape its pods and its allocation, one a line. */
public class Keys {
    private static final String[] CLASSES = {
        "org.apache.flink.kubernetes.configuration.KubernetesConfigOptions",
        "org.apache.flink.configuration.ResourceManagerOptions",
        "org.apache.flink.configuration.ExternalResourceOptions",
    };

    public static void main(String[] args) throws Exception {
        TreeSet<String> keys = new TreeSet<>();

        for (String name : CLASSES)
            for (Field field : Class.forName(name).getFields()) {
                if (!Modifier.isStatic(field.getModifiers())) continue;
                if (field.getType() == ConfigOption.class) keys.add(((ConfigOption<?>) field.get(null)).key());
                else if (field.getName().endsWith("_ENV_PREFIX")) keys.add(field.get(null) + "<name>");
            }
        keys.forEach(System.out::println);
    }
}
