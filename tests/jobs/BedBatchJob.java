import org.apache.flink.api.common.RuntimeExecutionMode;
import org.apache.flink.api.common.functions.MapFunction;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;

/**
 * A batch job of two stages with a blocking exchange between them: the second starts when the first has ended, and
 * needs the partitions that the first one's TaskManagers keep.
 *
 * <pre>
 * --records N   records in all (100)
 * --millis N    time each record takes in each stage (50): a stage takes records * millis / parallelism
 * --second-millis N       the same for the second stage (as the first)
 * --second-parallelism N  of the second stage (as submitted)
 * --name S      name of the job (bed-batch-job)
 * </pre>
 */
public final class BedBatchJob {
    public static void main(String[] args) throws Exception {
        Options options = new Options(args, "records", "millis", "second-millis", "second-parallelism", "name");
        long millis = options.number("millis", 50);

        StreamExecutionEnvironment env = StreamExecutionEnvironment.getExecutionEnvironment();
        env.setRuntimeMode(RuntimeExecutionMode.BATCH);
        int second = (int) options.number("second-parallelism", env.getParallelism());
        env.fromSequence(0, options.number("records", 100) - 1).name("numbers")
                .map(new Slow(millis)).returns(Types.LONG).name("first-stage")
                .rebalance()
                .map(new Slow(options.number("second-millis", millis))).returns(Types.LONG).name("second-stage")
                .setParallelism(second)
                .print().name("print").setParallelism(second);
        env.execute(options.text("name", "bed-batch-job"));
    }

    private static final class Slow implements MapFunction<Long, Long> {
        private final long millis;

        Slow(long millis) {
            this.millis = millis;
        }

        @Override
        public Long map(Long number) throws InterruptedException {
            Thread.sleep(millis);
            return number;
        }
    }
}
