// SPDX-License-Identifier: Apache-2.0
// The jobs whose replies are recorded: RecordedJob groups|batch|fail|main|empty. Built by ./record.

import org.apache.flink.api.common.RuntimeExecutionMode;
import org.apache.flink.api.common.functions.MapFunction;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;

public class RecordedJob {
    public static void main(String[] args) throws Exception {
        StreamExecutionEnvironment env = StreamExecutionEnvironment.getExecutionEnvironment();
        switch (args[0]) {
            case "groups": // three slot sharing groups: 2 + 1 + 2 slots
                env.setParallelism(2);
                env.fromSequence(0, Long.MAX_VALUE - 1).name("numbers")
                        .map(new Slow(20)).name("slow")
                        .map(new Slow(0)).name("one").slotSharingGroup("second").setParallelism(1)
                        .keyBy(n -> n % 10)
                        .filter(n -> n < 0).name("none").slotSharingGroup("third")
                        .print().name("sink");
                break;
            case "batch": // two stages with a blocking exchange between them
                env.setRuntimeMode(RuntimeExecutionMode.BATCH);
                env.setParallelism(2);
                env.fromSequence(0, 400).name("numbers")
                        .map(new Slow(20)).name("slow")
                        .keyBy(n -> n % 10)
                        .reduce(Long::sum).name("sum")
                        .print().name("sink");
                break;
            case "fail":
                env.fromSequence(0, 1000).map(new Failing()).name("failing").print();
                break;
            case "main":
                throw new IllegalStateException("no input was given", new java.io.IOException("connect: refused"));
            default: // a main method without a job
                return;
        }
        env.execute("recorded " + args[0]);
    }

    static class Slow implements MapFunction<Long, Long> {
        final long ms;

        Slow(long ms) {
            this.ms = ms;
        }

        @Override
        public Long map(Long n) throws Exception {
            Thread.sleep(ms);
            return n;
        }
    }

    static class Failing implements MapFunction<Long, Long> {
        @Override
        public Long map(Long n) {
            if (n > 100) {
                throw new RuntimeException("wrapped", new IllegalArgumentException("cannot parse \"" + n + "\"\u0007 at line 3"));
            }
            return n;
        }
    }
}
