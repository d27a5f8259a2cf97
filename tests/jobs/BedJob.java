import java.io.File;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import org.apache.flink.api.common.functions.MapFunction;
import org.apache.flink.api.common.state.ListState;
import org.apache.flink.api.common.state.ListStateDescriptor;
import org.apache.flink.api.common.state.ValueState;
import org.apache.flink.api.common.state.ValueStateDescriptor;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.runtime.state.FunctionInitializationContext;
import org.apache.flink.runtime.state.FunctionSnapshotContext;
import org.apache.flink.streaming.api.checkpoint.CheckpointedFunction;
import org.apache.flink.streaming.api.datastream.SingleOutputStreamOperator;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.streaming.api.functions.KeyedProcessFunction;
import org.apache.flink.util.Collector;

/**
 * A stream of numbers at a steady rate, counted by key in checkpointed state.
 *
 * <pre>
 * --rate N             records a second from each source subtask (100)
 * --keys N             number of keys (16)
 * --count N            end after this many records in all (never)
 * --fail-after N       a counting subtask throws after this many records, in every attempt (never)
 * --fail-file PATH     a counting subtask throws while this file exists (no file)
 * --fail-main TEXT     main() throws this
 * --out PATH           a file that what is printed is appended to, "key=n" for each hundredth record of a key (none)
 * --name S             name of the job (bed-job)
 * --slot-groups "4,1"  parallelism of the slot sharing groups, one stage of the job in each: this one needs 5 slots
 *                      (default: one group, parallelism as submitted)
 * </pre>
 *
 * The operator "count" has a gauge "total": the records it has counted since the job first started, across restores.
 *
 * <p>Only API that Flink 1.18, 1.20 and 2.2 share is used, so that one jar runs on all of them.
 */
public final class BedJob {
    public static void main(String[] args) throws Exception {
        Options options =
                new Options(args, "rate", "keys", "count", "fail-after", "fail-file", "fail-main", "name", "slot-groups",
                        "out");
        String failMain = options.text("fail-main", "");
        if (!failMain.isEmpty()) {
            throw new IllegalStateException(failMain);
        }
        long keys = options.number("keys", 16);
        String[] groups = options.text("slot-groups", "").split(",");

        StreamExecutionEnvironment env = StreamExecutionEnvironment.getExecutionEnvironment();
        SingleOutputStreamOperator<Long> numbers = env.fromSequence(0, options.number("count", Long.MAX_VALUE) - 1);
        numbers = place(numbers.uid("numbers").name("numbers"), groups, 0);
        numbers = numbers.map(new Throttle(options.number("rate", 100))).returns(Types.LONG);
        numbers = place(numbers.uid("throttle").name("throttle"), groups, 0);
        SingleOutputStreamOperator<String> counts = numbers.keyBy(number -> number % keys, Types.LONG)
                .process(new Count(options.number("fail-after", 0), options.text("fail-file", ""), options.text("out", "")));
        counts = place(counts.uid("count").name("count"), groups, 0);
        for (int group = 1; group < groups.length; group++) {
            counts = counts.map(text -> text).returns(Types.STRING);
            counts = place(counts.uid("stage-" + group).name("stage-" + group), groups, group);
        }
        var sink = counts.print().uid("print").name("print");
        if (!groups[0].isEmpty()) {
            sink.slotSharingGroup("group-" + (groups.length - 1)).setParallelism(parallelism(groups, groups.length - 1));
        }
        env.execute(options.text("name", "bed-job"));
    }

    private static <T> SingleOutputStreamOperator<T> place(
            SingleOutputStreamOperator<T> operator, String[] groups, int group) {
        return groups[0].isEmpty()
                ? operator
                : operator.slotSharingGroup("group-" + group).setParallelism(parallelism(groups, group));
    }

    private static int parallelism(String[] groups, int group) {
        return Integer.parseInt(groups[group].trim());
    }

    /** Lets records pass at a steady rate; what is late, after a pause, is not made up for. */
    private static final class Throttle implements MapFunction<Long, Long> {
        private final long nanos;
        private transient long next;

        Throttle(long rate) {
            nanos = 1_000_000_000L / rate;
        }

        @Override
        public Long map(Long number) throws InterruptedException {
            long now = System.nanoTime();
            if (next > now) {
                Thread.sleep((next - now) / 1_000_000, (int) ((next - now) % 1_000_000));
            }
            next = Math.max(next, now - 100 * nanos) + nanos;
            return number;
        }
    }

    private static final class Count extends KeyedProcessFunction<Long, Long, String> implements CheckpointedFunction {
        private final long failAfter;
        private final String failFile;
        private final String out;
        private transient ListState<Long> totals;
        private transient ValueState<Long> count;
        private transient long total;
        private transient long seen;

        Count(long failAfter, String failFile, String out) {
            this.failAfter = failAfter;
            this.failFile = failFile;
            this.out = out;
        }

        @Override
        public void initializeState(FunctionInitializationContext context) throws Exception {
            totals = context.getOperatorStateStore().getListState(new ListStateDescriptor<>("total", Types.LONG));
            for (Long part : totals.get()) {
                total += part;
            }
            if (context.isRestored()) {
                System.out.println("BedJob: restored a total of " + total);
            }
            getRuntimeContext().getMetricGroup().gauge("total", () -> total);
        }

        @Override
        public void snapshotState(FunctionSnapshotContext context) throws Exception {
            totals.update(java.util.List.of(total));
        }

        @Override
        public void processElement(Long number, Context context, Collector<String> output) throws Exception {
            if (count == null) {
                count = getRuntimeContext().getState(new ValueStateDescriptor<>("count", Types.LONG));
            }
            long n = count.value() == null ? 1 : count.value() + 1;
            count.update(n);
            total++;
            seen++;
            if (failAfter > 0 && seen > failAfter) {
                throw new IllegalStateException("BedJob: told to fail after " + failAfter + " records");
            }
            if (!failFile.isEmpty() && new File(failFile).exists()) {
                throw new IllegalStateException("BedJob: told to fail by the file " + failFile);
            }
            if (n % 100 == 0) {
                String line = context.getCurrentKey() + "=" + n;
                output.collect(line);
                if (!out.isEmpty()) {
                    Files.writeString(Path.of(out), line + "\n", StandardOpenOption.CREATE, StandardOpenOption.APPEND);
                }
            }
        }
    }
}
