// SPDX-License-Identifier: Apache-2.0
// What Flink's GlobalConfiguration reads from configuration files. Run by ./generate:
//   java -cp <Flink's lib> ConfVectors.java <work directory> <directory with *.flat and *.yaml> <yaml?>
// Writes <file>.read for each: one JSON object of strings, sorted by key.

import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.Map;
import java.util.TreeMap;
import org.apache.flink.configuration.GlobalConfiguration;

public class ConfVectors {
    static String quote(String s) {
        StringBuilder out = new StringBuilder("\"");
        for (char c : s.toCharArray()) {
            if (c == '"' || c == '\\') {
                out.append('\\').append(c);
            } else if (c < 0x20 || c > 0x7e) {
                out.append(String.format("\\u%04x", (int) c));
            } else {
                out.append(c);
            }
        }
        return out.append('"').toString();
    }

    public static void main(String[] args) throws Exception {
        boolean yaml = Boolean.parseBoolean(args[2]);
        Path dir = Files.createDirectories(Path.of(args[0], "conf"));
        try (DirectoryStream<Path> files = Files.newDirectoryStream(Path.of(args[1]), yaml ? "*.yaml" : "*.flat")) {
            for (Path file : files) {
                Files.copy(file, dir.resolve(yaml ? "config.yaml" : "flink-conf.yaml"), StandardCopyOption.REPLACE_EXISTING);
                StringBuilder out = new StringBuilder();
                Map<String, String> read = new TreeMap<>(GlobalConfiguration.loadConfiguration(dir.toString()).toMap());
                read.forEach((k, v) -> out.append(out.length() == 0 ? "{" : ",\n ").append(quote(k)).append(": ").append(quote(v)));
                Path to = file.resolveSibling(file.getFileName() + ".read");
                String text = (out.length() == 0 ? "{" : out) + "}\n";
                // Versions of the same kind of file must agree.
                if (Files.exists(Path.of(args[0]).resolveSibling(file.getFileName() + ".seen")) && !Files.readString(to).equals(text)) {
                    throw new IllegalStateException(file + ": this version reads something else");
                }
                Files.writeString(Path.of(args[0]).resolveSibling(file.getFileName() + ".seen"), "");
                Files.writeString(to, text);
            }
        }
    }
}
