"""The main job, once for each call that it makes and each way in which that call can go wrong, once."""
from combinations import FAULTS, FLINK_FAULTS, SLOW_FAULTS, all_of, combinations, half
from lib.suite import test

MAIN = "main job"

# Calls of it to the API server, and to its JobManager, and how many of each are worth breaking.
CALLS = {"patch flinkdeployments": 2, "patch flinkdeployments/status": 3, "patch flinksessionjobs": 2,
         "patch flinksessionjobs/status": 3, "apply configmaps": 1, "apply deployments": 1, "apply services": 2,
         "create pods": 1, "delete pods": 1, "create events": 1}
FLINK_CALLS = {"GET /overview": 1, "GET /jobs/overview": 2, "GET /taskmanagers": 1, "GET /jobs/*": 2, "POST /jars/*/run": 1,
               "PATCH /jobs/*": 1}


@test("each call to the API server × every other fault: converged, submitted once, nothing left, calm", timeout=600)
def kubernetes(run):
    all_of(run, half(combinations(MAIN, CALLS, FAULTS)))


@test("the other faults, those that take their time, and all for every later call", full=True, timeout=1800)
def kubernetes_more(run):
    all_of(run, half(combinations(MAIN, CALLS, FAULTS), True) + combinations(MAIN, CALLS, FAULTS, (2, 3))
           + combinations(MAIN, CALLS, SLOW_FAULTS, (1, 2, 3)))


@test("each call to a JobManager × every other fault and lie: converged, submitted once, nothing left, calm", timeout=600)
def flink(run):
    all_of(run, half(combinations(MAIN, FLINK_CALLS, FLINK_FAULTS)))


@test("the other faults and lies, and all for every later call", full=True, timeout=900)
def flink_more(run):
    all_of(run, half(combinations(MAIN, FLINK_CALLS, FLINK_FAULTS), True) + combinations(MAIN, FLINK_CALLS, FLINK_FAULTS, (2,)))
