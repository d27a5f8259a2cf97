"""Scenes that many tests begin with."""
from lib.check import Failure, check, dig, equal, wait
from lib.flink import Flink

UP = 120  # s until a cluster is ready, or a job runs from no TaskManager: 15 s on a quiet machine
SOON = 30  # s for what takes the operator a second or two


def condition(cr, kind="Ready"):
    return next((c for c in dig(cr, "status.conditions", []) if c["type"] == kind), {})


def state(cr):
    """A resource's status in a line, for messages."""
    c, status = condition(cr), (cr or {}).get("status", {})
    return (f"Ready={c.get('status')} ({c.get('reason')}: {c.get('message')}), lifecycle {status.get('lifecycleState')}, "
            f"job {dig(status, 'jobStatus.state')}, JobManager {status.get('jobManagerDeploymentStatus')}, "
            f"allocator {status.get('allocator')}")


def is_ready(cr):
    """The resource says Ready about the spec as it is now."""
    check(cr, "it is not there")
    c = condition(cr)
    current = c.get("observedGeneration") == cr["metadata"]["generation"]
    check(c.get("status") == "True" and current, lambda: state(cr) + ("" if current else " (of an older generation)"))
    return cr


def cluster_ready(run, name="demo", seconds=UP):
    wait(f"FlinkDeployment {name} Ready", lambda: is_ready(run.kube.get("flinkdep", run.ns, name)), seconds)
    return Flink(run.kube, run.ns, name)


def session(run, manifest):
    """A session cluster, ready: its Flink."""
    run.kube.apply(manifest)
    return cluster_ready(run, manifest["metadata"]["name"])


def job_id(run, name):
    return dig(run.kube.get("sessionjob", run.ns, name), "status.jobStatus.jobId")


def job_ready(run, name, seconds=UP):
    """The FlinkSessionJob when all of its tasks run."""
    return wait(f"FlinkSessionJob {name} Ready", lambda: is_ready(run.kube.get("sessionjob", run.ns, name)), seconds)


def job_running(run, flink, name, seconds=UP):
    """Ready in its status, all tasks RUNNING in Flink, and records flow: the job's id."""
    cr = job_ready(run, name, seconds)
    found = cr["status"]["jobStatus"]["jobId"]
    equal(cr["status"]["jobStatus"]["state"], "RUNNING", "status.jobStatus.state")
    flink.running(found)
    wait(f"records of {name}", lambda: flink.flowing(found), 60)
    return found


def suspended(run, name, kind="sessionjob", seconds=60):
    """The resource as soon as its lifecycle is SUSPENDED."""
    def probe():
        cr = run.kube.get(kind, run.ns, name)
        check(dig(cr, "status.lifecycleState") == "SUSPENDED", state(cr))
        return cr
    return wait(f"{name} SUSPENDED", probe, seconds)


def pods(run, component, cluster="demo"):
    """Names of live pods → pod."""
    found = run.kube.list("pod", run.ns, f"app={cluster},component={component}")
    return {p["metadata"]["name"]: p for p in found if not p["metadata"].get("deletionTimestamp")}


def taskmanagers(run, cluster="demo"):
    return sorted(pods(run, "taskmanager", cluster))


def jobmanager(run, cluster="demo"):
    """The one JobManager pod."""
    found = pods(run, "jobmanager", cluster)
    check(len(found) == 1, f"JobManager pods: {sorted(found)}")
    return next(iter(found.values()))


def no_taskmanagers(run, cluster="demo", seconds=60):
    def none():
        found = run.kube.list("pod", run.ns, f"app={cluster},component=taskmanager")
        if found:
            raise Failure("there are " + ", ".join(p["metadata"]["name"] for p in found))
        return True
    wait("no TaskManager pod left", none, seconds)


def gone(run, kind, *names, seconds=60):
    for name in names:
        wait(f"{kind} {name} gone", lambda n=name: run.kube.get(kind, run.ns, n) is None, seconds)


def delete_jobs(run, *names, seconds=60):
    for name in names:
        run.kube.delete("sessionjob", run.ns, name)
    gone(run, "sessionjob", *names, seconds=seconds)
