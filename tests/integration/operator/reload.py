"""The operator's configuration while it runs: read again, namespaces and the label selector changed, what is wrong told."""
import os
import time

from lib.check import check, dig, equal, wait
from lib.manifests import cluster, job, snapshot
from lib.plane import SOON
from lib.plane_scene import (cluster_ready, condition, events_of, gone, job_ready, log_has_no, namespace, operator,
                             session, versions, writes)
from lib.suite import test

OPTION = "kubernetes.operator."
CHECKED = {"dynamic.config.check.interval": "100 ms"}
MOVE = {"dynamic.namespaces.enabled": "true"}
SOON_READ = 0.5  # s: a change of the file has been read


def configure(run, options=None, conf=None):
    """Writes the configuration as kubelet does for a ConfigMap: another folder behind a link."""
    all_of_it = {**{OPTION + k: v for k, v in {**CHECKED, **(options or {})}.items()}, **(conf or {})}
    text = "".join(f"{k}: {v}\n" for k, v in all_of_it.items())
    folder = os.path.join(run.dir, "conf")
    data = f"..data-{time.monotonic_ns()}"
    os.makedirs(os.path.join(folder, data))
    with open(os.path.join(folder, data, "config.yaml"), "w", encoding="utf-8") as f:
        f.write(text)
    os.symlink(data, os.path.join(folder, "..new"))
    os.rename(os.path.join(folder, "..new"), os.path.join(folder, "..data"))
    if not os.path.islink(os.path.join(folder, "config.yaml")):
        os.symlink("..data/config.yaml", os.path.join(folder, "config.yaml"))
    return folder


def configured(run, namespaces=(), wait_ready=True, **more):
    """An operator that is told its namespaces by the file, if at all."""
    for ns in namespaces:
        if (run.account, ns) not in run.plane.bound:
            run.plane.bound.add((run.account, ns))
            run.plane.account(run.account, [ns])
    return operator(run, [], "--conf-dir", os.path.join(run.dir, "conf"), wait_ready=wait_ready, **more)


def says(op, *words):
    wait(f"the log says {words}", lambda: all(w in op.log() for w in words), SOON, 0.05)


def metric(op, name):
    return op.metrics().get(name)


def watches(op):
    """The metrics of the watches that there are."""
    return "".join(line for line in op.get("/metrics")[1].splitlines() if line.startswith("watch_last_event"))


def in_flink(flink):
    return [j for j in flink.jobmanager.jobs if flink.jobmanager.jobs[j]["state"] == "RUNNING"]


@test("another default: nothing is written for it, what is made afterwards has it; a wrong file is told and the former counts; "
      "one that is right again counts")
def defaults(run):
    ns = namespace(run)
    configure(run, conf={"restart-strategy.type": "none"})
    op = operator(run, [ns], "--conf-dir", os.path.join(run.dir, "conf"), binary="build/asan/flink-operator")
    session(run)
    before, since = versions(run), time.time()
    configure(run, {"reconcile.interval": "5 s", "no.such.option": "1", "leader-election.retry-period": "1 s"},
              {"restart-strategy.type": "fixed-delay"})
    says(op, "read again", "next start of the operator", "leader-election.retry-period", "no.such.option: is no option",
         "reconcile.interval: work begins")
    time.sleep(0.5)
    equal((versions(run), writes(run, since)), (before, []), "the cluster that was there")
    run.kube.create("flinkdep", ns, cluster(ns, "other"))
    made = wait("its ConfigMap", lambda: run.kube.get("configmap", ns, "flink-config-other"), SOON, 0.05)
    check("fixed-delay" in str(made["data"]), made["data"])
    equal(metric(op, "flink_operator_config_last_reload_successful"), 1, "the metric")
    configure(run, {"label.selector": "team in (a"}, {"restart-strategy.type": "failure-rate"})
    says(op, "the former one goes on counting", "label.selector", 'expected \\",\\" or \\")\\"')
    equal(metric(op, "flink_operator_config_last_reload_successful"), 0, "the metric")
    equal(op.get("/readyz")[0], 200, "ready")
    run.kube.create("flinkdep", ns, cluster(ns, "third"))
    made = wait("its ConfigMap", lambda: run.kube.get("configmap", ns, "flink-config-third"), SOON, 0.05)
    check("fixed-delay" in str(made["data"]), made["data"])
    configure(run, conf={"restart-strategy.type": "failure-rate"})
    wait("a right one counts", lambda: metric(op, "flink_operator_config_last_reload_successful") == 1, SOON, 0.1)
    op.stop()


@test("a configuration that is wrong at the start: the operator does not start, and says where; one that is not to be read again is not",
      full=True)
def start(run):
    ns = namespace(run)
    for bad, words in (({"label.selector": "a>1"}, ("label.selector", "expected")), ({"flink.client.timeout": "1 ms"}, ("from 100 ms",)),
                       ({"watched.namespaces": "A_b"}, ("not the name of a namespace",)),
                       ({"leader-election.lease-duration": "12 s"}, ("lease-duration: must be at least 5 s longer",)),
                       ({"job.restart.failed": "perhaps"}, ("true or false",))):
        configure(run, bad)
        op = configured(run, [ns], wait_ready=False)
        wait("it ends", lambda op=op: op.process.poll() is not None, SOON, 0.05)
        equal(op.process.returncode, 3, f"the exit code with {bad}")
        check(all(w in op.log() for w in ("cannot start", *words)), op.log())
    configure(run, {"dynamic.config.enabled": "false", "watched.namespaces": ns})
    op = configured(run, [ns])
    configure(run, {"label.selector": "a=b"})
    time.sleep(SOON_READ)
    log_has_no(op, "read again")
    op.stop()


@test("watched namespaces: one is added and served, another is taken away: nothing of it is written or deleted; and back", full=True)
def namespaces(run):
    a, b = namespace(run, "-a"), namespace(run, "-b")
    configure(run, {"watched.namespaces": a, **MOVE})
    op = configured(run, [a, b], binary="build/asan/flink-operator")
    session(run, ns=a)
    run.kube.create("flinkdep", b, cluster(b))
    run.flinks.cluster(f"{b}/demo", slots=1)
    time.sleep(0.5)
    check("status" not in run.kube.get("flinkdep", b, "demo"), "the other namespace is not served")
    configure(run, {"watched.namespaces": f"{a},{b}", **MOVE})
    cluster_ready(run, ns=b)
    # Away with the first one; a change in it is not seen.
    configure(run, {"watched.namespaces": b, **MOVE})
    wait("its watches end", lambda: a not in watches(op), SOON, 0.05)
    before, since = versions(run, a), time.time()
    run.kube.patch("flinkdep", a, "demo", {"spec": {"restartNonce": 5}})
    time.sleep(0.7)
    after = versions(run, a)
    equal({k: v for k, v in after.items() if k != "flinkdep/demo"}, {k: v for k, v in before.items() if k != "flinkdep/demo"}, "objects")
    equal(writes(run, since), [], "writes")
    check(f"{a}/demo" not in op.get("/metrics")[1], "nothing of it is known any more")
    cluster_ready(run, ns=b)
    # And all of it comes back: the change is made now.
    configure(run, {"watched.namespaces": f"{b},{a}", **MOVE})
    cluster_ready(run, ns=a)
    op.stop()


@test("two namespaces, then one: while a job is submitted in another one; without dynamic.namespaces.enabled a list counts at the start only",
      full=True)
def narrowed(run):
    a, b = namespace(run, "-a"), namespace(run, "-b")
    configure(run, {"watched.namespaces": f"{a},{b}", **MOVE})
    op = configured(run, [a, b], binary="build/asan/flink-operator")
    flink = session(run, ns=a)
    session(run, ns=b)
    held = []
    flink.hook = lambda r: (held.append(1), time.sleep(1.5), None)[2] if "/run" in r.path else None
    run.kube.create("sessionjob", a, job(a, "first"))
    wait("the run request under way", lambda: held, SOON, 0.02)
    configure(run, {"watched.namespaces": b, **MOVE})
    says(op, "read again")
    time.sleep(3)
    equal(len(flink.accepted), 1, "the job is there once")
    flink.hook = None
    configure(run, {"watched.namespaces": f"{a},{b}", **MOVE})
    job_ready(run, ns=a)
    equal(len(flink.accepted), 1, "and once only")
    configure(run, {"watched.namespaces": b})
    says(op, "dynamic.namespaces.enabled")
    run.kube.create("flinkdep", a, cluster(a, "more"))
    wait("it is served", lambda: "status" in run.kube.get("flinkdep", a, "more"), SOON, 0.05)
    op.stop()


@test("all namespaces, then one, then all again: what is left out is forgotten, what stays is not disturbed", full=True)
def everywhere(run):
    a, b = namespace(run, "-a"), namespace(run, "-b")
    run.plane.account(run.account, everywhere=True)
    configure(run, MOVE)
    op = configured(run, binary="build/asan/flink-operator")
    session(run, ns=a)
    session(run, ns=b)
    before, since = versions(run, b), time.time()
    configure(run, {"watched.namespaces": b, **MOVE})
    wait("its watches end", lambda: 'namespace=""' not in watches(op), SOON, 0.05)
    run.kube.patch("flinkdep", a, "demo", {"spec": {"restartNonce": 5}})
    time.sleep(1)
    equal((versions(run, b), writes(run, since)), (before, []), "what stays, and writes")
    run.kube.patch("flinkdep", b, "demo", {"spec": {"restartNonce": 5}})
    wait("a change of what stays", lambda: run.kube.get("flinkdep", b, "demo")["status"].get("observedGeneration") == 2, SOON, 0.05)
    configure(run, MOVE)
    cluster_ready(run, ns=a)
    cluster_ready(run, ns=b)
    op.stop()


@test("a label selector: only what matches is served; snapshots that are made match; another one counts without a restart, and nothing is lost")
def selector(run):
    ns = namespace(run)
    configure(run, {"label.selector": "team in (red, blue),!retired"})
    op = operator(run, [ns], "--conf-dir", os.path.join(run.dir, "conf"), binary="build/asan/flink-operator")
    flinks = {}
    for name, labels in (("red", {"team": "red"}), ("green", {"team": "green"})):
        flinks[name] = run.flinks.cluster(f"{ns}/{name}", slots=1)
        flinks[name].savepoints = "file:///savepoints"
        body = cluster(ns, name)
        body["metadata"]["labels"] = labels
        run.kube.create("flinkdep", ns, body)
    cluster_ready(run, "red")
    first = labelled(job(ns, "first", "red"), team="blue")
    first["spec"]["job"]["savepointTriggerNonce"] = 1
    run.kube.create("sessionjob", ns, first)
    job_ready(run)
    run.kube.patch("sessionjob", ns, "first", {"spec": {"job": {"savepointTriggerNonce": 2}}})
    made = wait("its savepoint", lambda: next(iter(run.kube.list("flinksnp", ns)), None), SOON, 0.05)
    equal(made["metadata"]["labels"]["team"], "blue", "its label")
    wait("taken", lambda: dig(run.kube.get("flinksnp", ns, made["metadata"]["name"]), "status.state") == "COMPLETED", SOON, 0.05)
    check("status" not in run.kube.get("flinkdep", ns, "green"), "what does not match is not served")
    # A job that matches in a cluster that does not.
    run.kube.create("sessionjob", ns, labelled(job(ns, "second", "green"), team="red"))
    told = wait("it is told", lambda: "does not match the operator's label selector" in str(
        condition(run.kube.get("sessionjob", ns, "second")).get("message")), SOON, 0.05)
    check(told, "told")
    # Labels change: the cluster is not served any more, and it runs on.
    run.kube.patch("flinkdep", ns, "red", {"metadata": {"labels": {"team": "green"}}})
    time.sleep(0.3)
    before, since = versions(run, kinds=("flinkdep", "deployment", "service", "configmap", "pod")), time.time()
    run.kube.patch("flinkdep", ns, "red", {"metadata": {"annotations": {"a": "b"}}})
    time.sleep(0.5)
    after = versions(run, kinds=("flinkdep", "deployment", "service", "configmap", "pod"))
    equal({k: v for k, v in after.items() if k != "flinkdep/red"}, {k: v for k, v in before.items() if k != "flinkdep/red"}, "objects")
    equal([e for e in writes(run, since) if "sessionjob" not in str(e.get("objectRef"))], [], "writes")
    equal(len(in_flink(flinks["red"])), 1, "the job runs on")
    # Another selector.
    configure(run, {"label.selector": "team=green"})
    cluster_ready(run, "green")
    cluster_ready(run, "red")
    configure(run)
    job_ready(run, "second")
    job_ready(run, "first")
    equal(len(in_flink(flinks["red"])), 1, "and it has not been submitted again")
    equal(len(flinks["red"].accepted), 1, "submissions")
    op.stop()


def labelled(body, **labels):
    body["metadata"]["labels"] = labels
    return body


@test("deleted while the label selector leaves out its cluster: a session job ends after its time, and tells; a snapshot waits", full=True,
      timeout=180)
def left_out(run):
    ns = namespace(run)
    configure(run, {"label.selector": "team=red", "flink.client.cancel.timeout": "3 s"})
    op = operator(run, [ns], "--conf-dir", os.path.join(run.dir, "conf"), binary="build/asan/flink-operator")
    run.flinks.cluster(f"{ns}/demo", slots=1)
    run.kube.create("flinkdep", ns, labelled(cluster(ns), team="red"))
    cluster_ready(run)
    run.kube.create("sessionjob", ns, labelled(job(ns, "first"), team="red"))
    job_ready(run)
    run.kube.patch("flinkdep", ns, "demo", {"metadata": {"labels": {"team": None}}})
    run.kube.create("flinksnp", ns, labelled(snapshot(ns), team="red"))
    wait("the snapshot's event", lambda: any(e["reason"] == "NotSelected" for e in events_of(run, "backup")), SOON, 0.1)
    check("state" not in run.kube.get("flinksnp", ns, "backup").get("status", {}), "and nothing else of it")
    run.kube.delete("sessionjob", ns, "first")
    time.sleep(1)
    check(run.kube.get("sessionjob", ns, "first"), "it waits")
    gone(run, "sessionjob", "first", seconds=10)
    check(any(e["reason"] == "CleanupFailed" and "label selector" in e["message"] for e in events_of(run, "first")),
          [e["message"] for e in events_of(run, "first")])
    run.kube.patch("flinkdep", ns, "demo", {"metadata": {"labels": {"team": "red"}}})
    cluster_ready(run)
    op.stop()


@test("the times of the Lease are those of the configuration: it is renewed and taken over by them", full=True)
def lease(run):
    ns = namespace(run)
    configure(run, {"leader-election.lease-duration": "7 s", "leader-election.renew-deadline": "2 s",
                    "leader-election.retry-period": "500 ms"})
    options = ("--leader-elect", "--lease", f"{ns}/flink-operator", "--conf-dir", os.path.join(run.dir, "conf"))
    first = operator(run, [ns], *options)
    found = run.kube.get("lease", ns, "flink-operator")
    equal(dig(found, "spec.leaseDurationSeconds"), 7, "what others wait for")
    time.sleep(2.2)
    second = run.kube.get("lease", ns, "flink-operator")
    renewals = int(second["metadata"]["resourceVersion"]) != int(found["metadata"]["resourceVersion"])
    check(renewals, "renewed")
    sent = [e for e in run.plane.requests(run.account, run.since) if dig(e, "objectRef.resource") == "leases" and e["verb"] == "patch"]
    check(len(sent) >= 4, f"renewals in 2 s: {len(sent)}")
    first.process.kill()
    began = time.monotonic()
    other = operator(run, [ns], *options, wait_ready=False)
    wait("another one leads", lambda: "leading" in other.log(), 12, 0.05)
    took = time.monotonic() - began
    check(6 < took < 13, f"after {took:.1f} s")
    run.note(f"taken over after {took:.1f} s")
    other.stop()


@test("the time-outs of calls to Flink are those of the configuration, also another one that comes while it runs; so is that of the end", full=True)
def timeouts(run):
    ns = namespace(run)
    configure(run, {"flink.client.timeout": "700 ms", "job.submission.timeout": "1 s", "termination.timeout": "500 ms"})
    op = operator(run, [ns], "--conf-dir", os.path.join(run.dir, "conf"))
    flink = session(run)
    flink.hook = lambda r: "hang" if "/run" in r.path else None
    run.kube.create("sessionjob", ns, job(ns, "first"))
    says(op, "/run: no complete answer", "within 1000 ms")
    flink.hook = None
    job_ready(run)
    flink.hook = lambda r: "hang" if r.method == "PATCH" else None
    run.kube.patch("sessionjob", ns, "first", {"spec": {"job": {"state": "suspended"}}})
    says(op, "within 700 ms")
    configure(run, {"flink.client.timeout": "900 ms", "termination.timeout": "500 ms"})
    says(op, "within 900 ms")
    configure(run, {"flink.client.timeout": "1 min", "termination.timeout": "500 ms"})
    wait("that is read", lambda: op.log().count("read again") == 2, SOON, 0.02)
    asked = flink.count("PATCH /jobs/*")
    wait("a call with that is under way", lambda: flink.count("PATCH /jobs/*") > asked, SOON, 0.02)
    began = time.monotonic()
    op.process.terminate()
    op.process.wait(10)
    check(0.4 < time.monotonic() - began < 3, f"ended after {time.monotonic() - began:.1f} s")
