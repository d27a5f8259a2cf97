"""A savepoint that a nonce asks for, once for each call that it takes and each way in which that call can go wrong."""
from combinations import FAULTS, FLINK_FAULTS, SLOW_FAULTS, all_of, combinations
from lib.suite import test

# Calls of it, and how many of each are worth breaking.
SNAPSHOT = {"create flinkstatesnapshots": 1, "patch flinkstatesnapshots": 2, "patch flinkstatesnapshots/status": 2}
CALLS = {"application, nonce": {"patch flinkdeployments/status": 2, **SNAPSHOT},
         "session job, nonce": {"patch flinksessionjobs/status": 2, **SNAPSHOT}}
FLINK_CALLS = {"POST /jobs/*/savepoints": 1, "GET /jobs/*/savepoints/*": 1, "GET /jobs/overview": 2}


@test("a savepoint for a nonce, each call to the API server × each fault: one, and the job runs on", full=True, timeout=1800)
def kubernetes(run):
    all_of(run, [c for name, calls in CALLS.items() for c in combinations(name, calls, FAULTS + SLOW_FAULTS, (1, 2))])


@test("the same, each call to a JobManager × each fault and lie", full=True, timeout=1800)
def flink(run):
    all_of(run, [c for name in CALLS for c in combinations(name, FLINK_CALLS, FLINK_FAULTS, (1, 2))])
