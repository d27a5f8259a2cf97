"""A change of an application and of a session job, in each upgrade mode, and the deletion after it, once for each call that they
make and each way in which that call can go wrong."""
from combinations import FAULTS, FLINK_FAULTS, all_of, combinations, whole
from lib.check import equal
from lib.suite import test

# Calls of a change and of the deletion, and how many of each are worth breaking.
APPLICATION = {"patch flinkdeployments/status": 6, "create events": 2, "patch deployments": 1, "delete pods": 2,
               "list configmaps": 4, "apply configmaps": 1, "apply deployments": 1, "apply services": 2, "create pods": 1,
               "delete deployments": 1, "delete configmaps": 2, "patch flinkdeployments": 1,
               "dry-run apply deployments": 1, "dry-run create pods": 1}
SESSION = {"patch flinkdeployments/status": 3, "patch flinksessionjobs/status": 6, "create events": 2, "delete pods": 1,
           "patch flinksessionjobs": 1, "delete deployments": 1, "patch flinkdeployments": 1}
REGISTERED = {"create flinkstatesnapshots": 1, "patch flinkstatesnapshots": 3, "patch flinkstatesnapshots/status": 1}
FLINK = {"GET /jobs/overview": 3, "GET /taskmanagers": 2, "GET /jobs/*": 1, "PATCH /jobs/*": 2}
SAVE = {"POST /jobs/*/stop": 1, "GET /jobs/*/savepoints/*": 2, "GET /jobs/*/checkpoints": 1, "PATCH /jobs/*": 1}
LAST_STATE = {"GET /jobs/*/checkpoints": 2}
CALLS = {
    "application, stateless": APPLICATION,
    # Of what is kept Flink itself deletes the job's, mostly sooner than the operator gets to it.
    "application, last-state": {**APPLICATION, "patch configmaps": 1, "delete configmaps": 1},
    "application, savepoint": {**APPLICATION, **REGISTERED},
    "session job, stateless": SESSION,
    "session job, last-state": SESSION,
    "session job, savepoint": {**SESSION, **REGISTERED},
}
FLINK_CALLS = {
    "application, stateless": {**FLINK, "GET /overview": 1},
    "application, last-state": {**FLINK, "GET /overview": 1, **LAST_STATE, "PATCH /jobs/*": 1},
    "application, savepoint": {**FLINK, "GET /overview": 1, **SAVE},
    "session job, stateless": {**FLINK, "POST /jars/*/run": 1},
    "session job, last-state": {**FLINK, "POST /jars/*/run": 1, **LAST_STATE},
    "session job, savepoint": {**FLINK, "POST /jars/*/run": 1, **SAVE},
}
# Of a session: a TaskManager that is idle for a second goes, another one comes, and why a job began anew is read.
MAY_BE = {"create pods", "GET /jobs/*/exceptions"}

def some():
    """Each call of a change of an application, and of a session job, once: in the scenario and in the way whose turn it is."""
    every, turn = [], 0
    for kind in ("application", "session job"):
        names = [name for name in CALLS if name.startswith(kind)]
        for table, faults in ((CALLS, FAULTS), (FLINK_CALLS, FLINK_FAULTS)):
            for call in dict.fromkeys(call for name in names for call in table[name]):
                having, found = [name for name in names if call in table[name]], []
                while not found:  # not every call can go wrong in every way
                    label = list(faults)[7 * turn % len(faults)]  # 7 shares no factor with their numbers
                    found = combinations(having[turn % len(having)], {call: 1},
                                         {label: faults[label]} if isinstance(faults, dict) else [label])
                    turn += 1
                every += found
    return every


@test("a change in each upgrade mode, each call in one way: converged, never two copies, from the right state, nothing left",
      timeout=600)
def first(run):
    """And one of each in which nothing goes wrong: what it asks is what the matrix breaks."""
    calm = [c for name in CALLS for c in combinations(name, {"": 1}, ["nothing"])]
    for c in calm:
        c.fired = True
    all_of(run, calm + some())
    for name, c in zip(CALLS, calm):
        equal(sorted(set(c.calls) - set(CALLS[name]) - set(FLINK_CALLS[name]) - MAY_BE), [], f"calls of {name} that no table has")


def add(name):
    def run_it(run):
        all_of(run, whole(name, CALLS[name], FLINK_CALLS[name]))
    run_it.__name__ = name.replace(",", "").replace("-", "_").replace(" ", "_")
    run_it.__module__ = __name__
    test(f"{name}: each call × each fault: converged, never two copies, from the right state, nothing left", full=True,
         timeout=3600)(run_it)


for _name in CALLS:
    add(_name)
