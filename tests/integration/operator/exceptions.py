"""What throws jobs back, as events."""
import json
import time

from lib.check import check, dig, equal, wait
from lib.fake_flink import Reply, recorded
from lib.plane import SOON
from lib.plane_scene import events_of, job_ready, log_has_no, operator, session, submit, writes
from lib.suite import test

ASKED = "GET /jobs/*/exceptions"
LATER = 15  # s: asked again at the earliest after ten


def thrown(flink, version="1.20"):
    """From now on Flink tells an exception of this moment."""
    reply = json.loads(recorded(version, "failed-exceptions")[1])
    reply["exceptionHistory"]["entries"][0]["timestamp"] = int(time.time() * 1000)
    flink.hook = lambda r: Reply(200, reply) if r.kind() == ASKED else None


def restarts(flink, job, seconds=1):
    """The job is thrown back and runs again."""
    found = flink.jobmanager.jobs[job]
    found["state"] = "RESTARTING"
    time.sleep(seconds)
    found.update(state="RUNNING", attempt=found.get("attempt", 0) + 1)


def told(run, n, name="first"):
    """Times that exceptions were told."""
    def probe():
        found = [e for e in events_of(run, name) if e["reason"] == "JobException"]
        check(sum(e.get("count", 1) for e in found) == n, f"told {[(e['message'], e.get('count')) for e in found]}")
        return found
    return wait(f"{n} exceptions told", probe, 2 * SOON, 0.1)


@test("a job that restarts: its exception is told once, with the cause, and Flink is asked once; one at rest costs nothing", full=True)
def restarting(run):
    op = operator(run, binary="build/asan/flink-operator")
    flink = session(run)
    job = submit(run)
    time.sleep(0.5)
    equal(flink.count(ASKED), 0, "questions about a job that runs")
    thrown(flink)
    restarts(flink, job)
    event, = told(run, 1)
    equal((event["type"], event["source"]["component"]), ("Warning", "Job"), "the event")
    check(event["message"].startswith('IllegalArgumentException: cannot parse "101"'), event["message"])
    equal(job_ready(run), job, "the job")
    equal(flink.count(ASKED), 1, "questions")
    log_has_no(op, "failed")


@test("Flink before 1.19 tells why a job restarts when its tasks begin anew: it is asked again then", full=True)
def late(run):
    op = operator(run)
    flink = session(run)
    job = submit(run)
    time.sleep(0.5)
    restarts(flink, job, 8)
    asked = flink.count(ASKED)
    check(asked, "Flink was not asked while the job restarted")
    thrown(flink)
    told(run, 1)
    equal(flink.count(ASKED), asked + 1, "questions")
    log_has_no(op, "failed")


@test("exceptions over restarts of the operator: none twice, none left out; a JobManager that does not tell; one that is gone", full=True,
      timeout=180)
def over_restarts(run):
    op = operator(run)
    flink = session(run)
    job = submit(run)
    thrown(flink)
    restarts(flink, job)
    told(run, 1)
    op.stop()
    op = operator(run)
    time.sleep(LATER)
    told(run, 1)
    equal(flink.count(ASKED), 1, "questions after a restart of the operator")
    equal(writes(run), [], "writes after it")
    op.stop()
    thrown(flink)
    time.sleep(3)  # more than clocks may differ
    restarts(flink, job)
    op = operator(run)
    told(run, 2)
    asked, time_of = flink.count(ASKED), dig(run.kube.get("sessionjob", run.namespaces[0], "first"), "status.jobStatus.exceptionTime")
    flink.hook = lambda r: "500" if r.kind() == ASKED else None
    restarts(flink, job)
    wait("asked again", lambda: flink.count(ASKED) >= asked + 2, 60, 0.2)
    thrown(flink)
    told(run, 3)
    check(time_of != dig(run.kube.get("sessionjob", run.namespaces[0], "first"), "status.jobStatus.exceptionTime"), "its time is not new")
    equal(job_ready(run), job, "the job")
