"""What happens to a job that nobody changes: what its pods refer to is rotated, an exception throws it back, periodic savepoints
are taken and cleaned up, a savepoint is deleted with its resource; once for each call that it takes and each way in which that
call can go wrong."""
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
}
THROWN = {"GET /jobs/*/exceptions": 1, "GET /jobs/overview": 2}
FLINK_CALLS = {
    "application, rotation": {"GET /jobs/overview": 2, "GET /overview": 1},
    "application, exception": THROWN,
    "session job, exception": THROWN,
    "session job, periodic": {"POST /jobs/*/savepoints": 2, "GET /jobs/*/savepoints/*": 1, "POST /savepoint-disposal": 1,
                              "GET /savepoint-disposal/*": 1},
    "session job, disposal": {"POST /savepoint-disposal": 1, "GET /savepoint-disposal/*": 1},
}


def add(name):
    def run_it(run):
        all_of(run, whole(name, CALLS[name], FLINK_CALLS[name]))
    run_it.__name__ = name.replace(",", "").replace(" ", "_")
    run_it.__module__ = __name__
    test(f"{name}: each call × each fault: done once, the state where it was, nothing left", full=True, timeout=1800)(run_it)


for _name in CALLS:
    add(_name)
