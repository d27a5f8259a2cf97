"""What happens to a job without being asked for: what its pods refer to is rotated, an exception throws it back, periodic savepoints
are taken and cleaned up, a savepoint is deleted with its resource, a change is rolled back, it fails or does badly and runs again;
once for each call that it takes and each way in which that call can go wrong."""
from combinations import all_of, whole
from lib.suite import test

# Calls of it, and how many of each are worth breaking.
SNAPSHOTS = {"create flinkstatesnapshots": 1, "patch flinkstatesnapshots": 1, "patch flinkstatesnapshots/status": 2}
CALLS = {
    "application, rotation": {"list configmaps": 2, "patch flinkdeployments/status": 3, "create events": 1, "patch deployments": 1,
                              "apply deployments": 1},
    "application, exception": {"patch flinkdeployments/status": 1, "create events": 1},
    "session job, exception": {"patch flinksessionjobs/status": 1, "create events": 1},
    "session job, periodic": {"patch flinksessionjobs/status": 2, **SNAPSHOTS, "delete flinkstatesnapshots": 2},
    "session job, disposal": {"patch flinkstatesnapshots": 1},
    "application, rollback, last-state": {
        "patch flinkdeployments/status": 6, "create events": 2, "patch deployments": 2, "delete pods": 2, "list configmaps": 2,
        "apply configmaps": 2, "apply deployments": 2},
    "application, rollback, savepoint": {
        "patch flinkdeployments/status": 6, "create flinkstatesnapshots": 1, "patch deployments": 1, "apply deployments": 1,
        "delete configmaps": 2},
    "application, failed": {
        "patch flinkdeployments/status": 4, "create events": 1, "patch deployments": 1, "delete pods": 1, "delete configmaps": 1,
        "apply deployments": 1},
    "session job, failed": {"patch flinksessionjobs/status": 5, "create events": 1},
    "application, unwell": {
        "patch flinkdeployments/status": 4, "patch deployments": 1, "patch configmaps": 1, "list configmaps": 2, "apply deployments": 1},
}
THROWN = {"GET /jobs/*/exceptions": 1, "GET /jobs/overview": 2}
FLINK_CALLS = {
    "application, rotation": {"GET /jobs/overview": 2, "GET /overview": 1},
    "application, exception": THROWN,
    "session job, exception": THROWN,
    "session job, periodic": {"POST /jobs/*/savepoints": 2, "GET /jobs/*/savepoints/*": 1, "POST /savepoint-disposal": 1,
                              "GET /savepoint-disposal/*": 1},
    "session job, disposal": {"POST /savepoint-disposal": 1, "GET /savepoint-disposal/*": 1},
    "application, rollback, last-state": {"GET /jobs/overview": 2, "GET /jobs/*/checkpoints": 1},
    "application, rollback, savepoint": {"POST /jobs/*/stop": 1, "GET /jobs/*/savepoints/*": 1},
    "application, failed": {**THROWN, "GET /jobs/*/checkpoints": 2},
    "session job, failed": {**THROWN, "GET /jobs/*/checkpoints": 2, "POST /jars/*/run": 1},
    "application, unwell": {"GET /jobs/*/metrics": 1, "GET /jobs/overview": 2, "GET /overview": 1},
}


def add(name):
    def run_it(run):
        all_of(run, whole(name, CALLS[name], FLINK_CALLS[name]))
    run_it.__name__ = name.replace(",", "").replace("-", "_").replace(" ", "_")
    run_it.__module__ = __name__
    test(f"{name}: each call × each fault: done once, the state where it was, nothing left", full=True, timeout=1800)(run_it)


for _name in CALLS:
    add(_name)
