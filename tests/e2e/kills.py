"""The operator is killed fifty times, at random moments of changes, in each mode of upgrade: whoever comes after it finishes what
was begun, and the job's numbers show no gap, and no repetition where the mode promises none."""
import random
import time

import ha
import upgrades
from applications import running
from lib.check import check, equal
from lib.suite import test
from scene import job_running

KILLS = 50
A_CHANGE = 8  # kills at most, so that there are many changes
PAUSE = (0.05, 2.5)  # s between two of them, after the operator is back


def storm(run, change, settled):
    """change(n) asks for something, settled(n) waits until it is done and checks it."""
    seed = time.time_ns() % 1000000
    run.note(f"random seed {seed}")
    rnd, kills, n = random.Random(seed), 0, 0
    while kills < KILLS:
        n += 1
        change(n)
        for _ in range(min(rnd.randint(3, A_CHANGE), KILLS - kills)):
            time.sleep(rnd.uniform(*PAUSE))
            run.operator.kill()
            run.operator.wait()
            kills += 1
        settled(n)
    run.note(f"{kills} kills during {n} changes")


def application(run, mode):
    _, first = ha.start(run, mode)
    last = {"job": first, "at": len(ha.numbers(run))}

    def change(n):
        last["at"] = len(ha.numbers(run))
        run.kube.patch("flinkdep", run.ns, "demo", {"spec": {"restartNonce": n}})

    def settled(_):
        _, found = running(run, former=None if mode == "last-state" else last["job"])
        if mode == "last-state":
            equal(found, first, "job id")
        last["job"] = found
        if mode != "stateless":
            ha.goes_on(run, last["at"], exactly=mode == "savepoint")
    storm(run, change, settled)
    if mode == "stateless":  # each run counts from the beginning, and by itself
        found = ha.numbers(run)
        check(all(b - a == 100 or b == 100 for a, b in zip(found, found[1:])), f"two runs at a time: {found[-60:]}")


def session_job(run, mode):
    flink, first = upgrades.start(run, mode)
    last = {"job": first}

    def change(n):
        run.kube.apply(upgrades.counting(run, mode, rate=1000 - n % 2))

    def settled(_):
        last["job"] = upgrades.goes_on(run, flink, last["job"], mode)
        equal([j["jid"] for j in flink.jobs() if j["state"] not in ("FINISHED", "CANCELED")],
              [job_running(run, flink, "counts")], "jobs that run in Flink")
    storm(run, change, settled)


def register(kind, mode):
    def case(run):
        kind(run, mode)
    case.__name__ = f"{kind.__name__}_{mode.replace('-', '_')}"
    test(f"{kind.__name__.replace('_', ' ')}, {mode}: {KILLS} times kill -9 of the operator during changes", full=True, timeout=1500)(case)


for _mode in ("stateless", "last-state", "savepoint"):
    register(application, _mode)
for _mode in ("last-state", "savepoint"):
    register(session_job, _mode)
