"""Scenes that tests on a control plane without a node begin with, and what they look at."""
import time

from lib.check import Failure, check, dig, equal, wait
from lib.manifests import cluster, job
from lib.plane import SOON, Operator

WRITES = ("create", "update", "patch", "delete")


def namespace(run, suffix=""):
    """A namespace of this test."""
    name = f"{run.account}{suffix}"
    run.plane.namespace(name)
    run.namespaces.append(name)
    return name


def operator(run, namespaces=None, *options, account=None, kubeconfig=None, wait_ready=True, **more):
    """The daemon, serving these namespaces (default: one of the test's own) with a Role in each of them."""
    if namespaces is None:
        namespaces = run.namespaces or [namespace(run)]
    account = account or run.account
    if kubeconfig is None:
        run.plane.account(account)
        for ns in namespaces:
            if (account, ns) not in run.plane.bound:
                run.plane.bound.add((account, ns))
                run.plane.account(account, [ns])
        kubeconfig = run.plane.kubeconfig(run.dir, account)
    run.since = time.time()
    found = Operator(run.plane, run.dir, kubeconfig, namespaces, *options, **more)
    run.operators.append(found)
    if wait_ready:
        found.wait(SOON)
    return found


def elected(run, **more):
    """The daemon as one of several, of which the one that holds a Lease in the test's namespace works."""
    return operator(run, None, "--leader-elect", "--lease", f"{run.namespaces[0]}/flink-operator", wait_ready=False, **more)


def answers(found):
    """It serves, and is ready: it works, or waits for the Lease."""
    return " port=" in found.log() and found.get("/readyz")[0] == 200


def session(run, name="demo", ns=None, slots=1, ready=True, **more):
    """A session cluster, ready: its Flink."""
    ns = ns or run.namespaces[0]
    flink = run.flinks.cluster(f"{ns}/{name}", slots=slots)
    run.kube.create("flinkdep", ns, cluster(ns, name, slots=slots, **more))
    if ready:
        cluster_ready(run, name, ns)
    return flink


def submit(run, name="first", ns=None, ready=True, **more):
    """A FlinkSessionJob, running: its id."""
    ns = ns or run.namespaces[0]
    run.kube.create("sessionjob", ns, job(ns, name, **more))
    return job_ready(run, name, ns) if ready else None


# ---- what the status says ----

def condition(cr, kind="Ready"):
    return next((c for c in dig(cr, "status.conditions", []) if c["type"] == kind), {})


def state(cr):
    """A resource's status in a line, for messages."""
    if not cr:
        return "it is not there"
    c, status = condition(cr), cr.get("status", {})
    return (f"{cr['metadata']['name']}: Ready={c.get('status')} ({c.get('reason')}: {c.get('message')}), lifecycle "
            f"{status.get('lifecycleState')}, job {dig(status, 'jobStatus.state')}, JobManager "
            f"{status.get('jobManagerDeploymentStatus')}, error {status.get('error')}, allocator {status.get('allocator')}")


def is_ready(cr):
    """The resource says Ready about the spec as it is now, and nothing is wrong."""
    c = condition(cr)
    current = c.get("observedGeneration") == dig(cr, "metadata.generation")
    check(c.get("status") == "True" and current and not dig(cr, "status.error"), lambda: state(cr))
    return cr


def cluster_ready(run, name="demo", ns=None, seconds=SOON):
    ns = ns or run.namespaces[0]
    return wait(f"FlinkDeployment {name} Ready", lambda: is_ready(run.kube.get("flinkdep", ns, name)), seconds, 0.05)


def job_ready(run, name="first", ns=None, seconds=SOON):
    """Its id in Flink."""
    ns = ns or run.namespaces[0]
    cr = wait(f"FlinkSessionJob {name} Ready", lambda: is_ready(run.kube.get("sessionjob", ns, name)), seconds, 0.05)
    return cr["status"]["jobStatus"]["jobId"]


def pods(run, component, name="demo", ns=None):
    """Live pods by name."""
    found = run.kube.list("pod", ns or run.namespaces[0], f"app={name},component={component}")
    return {p["metadata"]["name"]: p for p in found if not p["metadata"].get("deletionTimestamp")}


def gone(run, kind, name, ns=None, seconds=SOON):
    ns = ns or run.namespaces[0]
    wait(f"{kind} {name} gone", lambda: run.kube.get(kind, ns, name) is None, seconds, 0.05)


def delete(run, kind, name, ns=None, seconds=SOON):
    run.kube.delete(kind, ns or run.namespaces[0], name)
    gone(run, kind, name, ns, seconds)


def nothing_left(run, name="demo", ns=None):
    """After the deletion of a cluster: no object of it."""
    ns = ns or run.namespaces[0]

    def none():
        for kind in ("pod", "deployment", "service", "configmap"):
            left = [o["metadata"]["name"] for o in run.kube.list(kind, ns, f"app={name}")]
            if left:
                raise Failure(f"{kind}s left: {left}")
        return True
    wait(f"all objects of {name} gone", none, SOON, 0.1)


def one_job(flink, job_id):
    """Flink has begun exactly this job, once."""
    equal([j for _, _, j in flink.accepted], [job_id], "jobs that Flink began to run")


def events_of(run, name, ns=None):
    return [e for e in run.kube.list("event", ns or run.namespaces[0]) if e["involvedObject"]["name"] == name]


def taken(run, name="backup", ns=None, seconds=SOON):
    """The FlinkStateSnapshot when it is complete."""
    ns = ns or run.namespaces[0]

    def probe():
        cr = run.kube.get("flinksnp", ns, name)
        check(dig(cr, "status.state") == "COMPLETED" and condition(cr).get("status") == "True", lambda: snapshot_state(cr))
        return cr
    return wait(f"FlinkStateSnapshot {name} COMPLETED", probe, seconds, 0.05)


def snapshot_state(cr):
    c, status = condition(cr or {}), (cr or {}).get("status", {})
    return f"{status.get('state')}, Ready={c.get('status')} ({c.get('reason')}: {c.get('message')}), error {status.get('error')}"


# ---- what the operator asked ----

def writes(run, since=None, account=None):
    """Writes of the operator, events apart, as audit events."""
    found = run.plane.requests(account or run.account, run.since if since is None else since)
    return [e for e in found if e["verb"] in WRITES and dig(e, "objectRef.resource") != "events"]


def versions(run, ns=None, kinds=("flinkdep", "sessionjob", "deployment", "service", "configmap", "pod")):
    """resourceVersions of everything: equal means that nobody wrote anything. What leaders renew is left out."""
    found = {}
    for kind in kinds:
        for o in run.kube.list(kind, ns or run.namespaces[0]):
            kept = o["metadata"].get("labels", {}).get("configmap-type") == "high-availability"
            if o["metadata"]["name"] != "kube-root-ca.crt" and not kept:
                found[f"{kind}/{o['metadata']['name']}"] = o["metadata"]["resourceVersion"]
    return found


def log_has_no(found, *words):
    """The operator's log has no line with one of these words."""
    for line in found.log().splitlines():
        check(not any(w in line.lower() for w in words), f"in the operator's log: {line}")
