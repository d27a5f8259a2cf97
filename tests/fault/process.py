"""What happens to the process and around it: its token expires, the authority of the API server's certificate is another one, etcd
forgets, the clock jumps, the disk is full, descriptors run out, it stands still."""
import os
import resource
import signal
import subprocess
import time

from lib.api_proxy import ApiProxy
from lib.bed import ROOT
from lib.check import check, equal, wait
from lib.manifests import application, cluster, job
from lib.plane import SOON
from lib.plane_scene import (cluster_ready, delete, gone, is_ready, job_ready, log_has_no, namespace, nothing_left, one_job,
                             operator, pods, session, submit)
from lib.suite import test
from scenarios import CONF, HA, STATE

MINUTE = 60


def write(path, text):
    """As kubelet does it: the file is never half of it."""
    with open(path + ".new", "wb") as f:
        f.write(text if isinstance(text, bytes) else text.encode())
    os.rename(path + ".new", path)


def behind(run, rule=None):
    """(proxy, path of its kubeconfig, of the token, of the authority) for an account with a Role in a namespace of the test."""
    ns = namespace(run)
    proxy = ApiProxy(run.plane.netns, *run.plane.server(), run.dir)
    run.cleanup(proxy.close)
    proxy.rule = rule
    run.plane.account(run.account, [ns])
    run.plane.bound.add((run.account, ns))
    token, ca = os.path.join(run.dir, "token"), os.path.join(run.dir, "ca.crt")
    write(token, run.plane.token(run.account))
    write(ca, proxy.ca)
    config = run.plane.kubeconfig(run.dir, run.account, proxy.url, proxy.ca, token_file=token)
    with open(config, encoding="utf-8") as f:
        text = f.read()
    start = text.index("certificate-authority-data")
    write(config, f'{text[:start]}certificate-authority: "{ca}"{text[text.index("}", start):]}')
    return proxy, config, token, ca


@test("the token expires: the file is read again, once with the next token, once before that is there")
def expired_token(run):
    expired, refused = set(), []

    def rule(call):
        if call.headers.get("authorization") not in expired:
            return None
        refused.append(call)
        return ("status", 401)
    proxy, config, path, _ = behind(run, rule)
    op = operator(run, kubeconfig=config)
    flink = session(run)
    ids = [submit(run)]

    def expire(late):
        """Its successor is in the file so many seconds later."""
        with open(path, encoding="utf-8") as f:
            old = f.read()
        time.sleep(1)  # tokens are told apart by the second of their beginning
        new = run.plane.token(run.account)
        if not late:
            write(path, new)
        expired.add(f"Bearer {old}")
        proxy.reset()
        time.sleep(late)
        write(path, new)
    expire(0)
    ids.append(submit(run, "second"))
    check(refused, "the old token was not used")
    log_has_no(op, "unauthorized", "fault: ")
    once = len(refused)
    run.kube.create("sessionjob", run.namespaces[0], job(run.namespaces[0], "third"))
    expire(5)
    ids.append(job_ready(run, "third", seconds=2 * SOON))
    equal([j for _, _, j in flink.accepted], ids, "submissions")
    run.note(f"{once} calls refused, and {len(refused) - once} in the 5 s without")


@test("the authority of the API server's certificate changes: its file is read again")
def rotated_ca(run):
    proxy, config, _, ca = behind(run)
    operator(run, kubeconfig=config)
    flink = session(run)
    found = submit(run)
    proxy.down()
    proxy.certificate(run.dir)
    proxy.up()
    time.sleep(2)  # it meets the new one with the old file
    began = time.monotonic()
    write(ca, proxy.ca)
    run.kube.create("sessionjob", run.namespaces[0], job(run.namespaces[0], "second"))
    second = job_ready(run, "second", seconds=2 * MINUTE)
    equal([j for _, _, j in flink.accepted], [found, second], "submissions")
    run.note(f"{time.monotonic() - began:.1f} s after the file had changed")


@test("etcd is compacted while the operator is cut off: real answers 410, lists again, and nothing is lost", full=True)
def compacted(run):
    proxy, config, _, _ = behind(run)
    op = operator(run, kubeconfig=config)
    ns, flink = run.namespaces[0], session(run)
    submit(run)
    submit(run, "stays")
    before = op.metrics().get("watch_relists_total", 0)
    proxy.down()
    run.kube.delete("sessionjob", ns, "first")
    run.kube.create("sessionjob", ns, job(ns, "second"))
    run.kube.create("flinkdep", ns, cluster(ns, "other"))
    run.flinks.cluster(f"{ns}/other")
    run.bed("compact")
    run.bed("ctl", "restart", "apiserver")
    proxy.up()
    job_ready(run, "second", seconds=2 * SOON)
    cluster_ready(run, "other")
    gone(run, "sessionjob", "first")
    equal(len(flink.accepted), 3, "submissions")
    lists = op.metrics()["watch_relists_total"] - before
    check(lists > 0, "nothing was listed again")
    run.note(f"{lists:.0f} lists")


def saving(run, name, mode):
    """An application with state that runs and has a checkpoint: its Flink."""
    ns = run.namespaces[0]
    flink = run.flinks.cluster(f"{ns}/{name}")
    flink.savepoints = STATE + "/savepoints"
    run.kube.create("flinkdep", ns, application(ns, name, conf={**CONF, **HA}, job={"upgradeMode": mode}))
    cluster_ready(run, name)
    wait("a checkpoint", lambda: flink.runs[-1].snapshots, SOON)
    return flink


def change(run, name, flink):
    """It goes on with another specification, from its state."""
    n = len(flink.runs)
    run.kube.patch("flinkdep", run.namespaces[0], name, {"spec": {"restartNonce": n}})
    wait(f"{name} goes on", lambda: len(flink.runs) > n and cluster_ready(run, name, seconds=0), 2 * SOON)
    former, last = flink.runs[n - 1:]
    check(former.ended <= last.began and last.base >= former.snapshots[-1].count, f"{vars(former)} {vars(last)}")


@test("the clock jumps two hours forward and back: nothing is replaced, changes are made, each job is submitted once", full=True)
def clock_jumps(run):
    shim, path = os.path.join(run.dir, "clock.so"), run.file("shift", "0")
    source = os.path.join(ROOT, "tests/fault/clock.c")
    subprocess.run(["gcc", "-D_GNU_SOURCE", "-shared", "-fPIC", "-O2", "-o", shim, source, "-ldl"], check=True)
    op = operator(run, binary="build/flink-operator", env={"LD_PRELOAD": shim, "CLOCK_SHIFT": path})
    flink, first = session(run, idle="10min"), submit(run)
    states = {mode: saving(run, mode, mode) for mode in ("last-state", "savepoint")}
    kept = {u["metadata"]["uid"] for role in ("jobmanager", "taskmanager") for u in pods(run, role).values()}
    for n, seconds in enumerate(("7200", "0")):
        write(path, seconds)
        time.sleep(3)
        for name, state in states.items():
            change(run, name, state)
        submit(run, f"after-{n}")
        run.kube.delete("sessionjob", run.namespaces[0], f"after-{n}")
        gone(run, "sessionjob", f"after-{n}")
    hour = time.strftime("%Y-%m-%dT%H", time.gmtime(time.time() + 7200))
    check(hour in op.log(), "its clock has not jumped")
    left = {u["metadata"]["uid"] for role in ("jobmanager", "taskmanager") for u in pods(run, role).values()}
    check(kept <= left, "pods of the session cluster were replaced")
    equal(job_ready(run), first, "the job")
    equal(len(flink.accepted), 3, "submissions")
    equal([w for f in states.values() for w in f.wrong], [], "what JobManagers had to see")
    op.stop()


@test("the disk of its log is full: everything goes on, and the log, when there is room again")
def full_disk(run):
    place = os.path.join(run.dir, "full")
    os.makedirs(place)
    # In a mount namespace of its own; appended, so that there is room after the file was emptied.
    script = f'mount -t tmpfs -o size=16k none "{place}" && exec "$@" >>"{place}/log" 2>&1'
    port = 20000 + os.getpid() % 10000
    op = operator(run, None, "--port", str(port), under=("unshare", "--mount", "sh", "-c", script, "sh"), wait_ready=False)
    op.port = lambda: port
    log = f"/proc/{op.process.pid}/root{place}/log"
    wait("it is ready", lambda: op.get("/readyz")[0] == 200, SOON)

    def full():
        at = os.statvfs(os.path.dirname(log))
        return at.f_bavail == 0
    flink, n = session(run), 0
    while not full():
        check(n < 40, "its log does not fill the disk")
        submit(run, f"fill-{n}")
        n += 1
    began = submit(run, "beside")
    delete(run, "sessionjob", "beside")
    op.alive()
    os.truncate(log, 0)
    last = submit(run, "after")
    equal([j for _, _, j in flink.accepted][-2:], [began, last], "submissions")
    equal(len(flink.accepted), n + 2, "submissions")
    with open(log, encoding="utf-8") as f:
        check("after" in f.read(), "nothing is logged any more")
    op.stop()


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat", encoding="utf-8") as f:
        fields = f.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@test("descriptors run out: it lives, does not spin, and goes on when there are some again")
def no_descriptors(run):
    op = operator(run, binary="build/flink-operator")
    pid, ns = op.process.pid, run.namespaces[0]
    flink, first = session(run), submit(run)
    _, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (4, hard))  # what is open stays so; nothing more is opened
    run.flinks.cluster(f"{ns}/other")
    run.kube.create("flinkdep", ns, cluster(ns, "other"))
    run.kube.create("sessionjob", ns, job(ns, "second"))
    run.kube.create("sessionjob", ns, job(ns, "third", "other"))
    time.sleep(1)
    before = cpu_seconds(pid)
    for _ in range(2):
        try:
            op.get("/healthz", 2)  # waits to be taken, as those of kubelet would
        except OSError:
            pass
    op.alive()
    spent = cpu_seconds(pid) - before
    check(spent < 0.3, f"{spent:.1f} s of CPU time in 4 s without descriptors")
    check("Too many open files" in op.log(), "nothing is told")
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (hard, hard))
    second, third = (job_ready(run, name, seconds=2 * SOON) for name in ("second", "third"))
    equal(op.get("/healthz")[0], 200, "/healthz")
    equal([j for _, _, j in flink.accepted], [first, second], "submissions")
    one_job(run.flinks.cluster(f"{ns}/other"), third)
    run.note(f"{spent:.2f} s of CPU time in 4 s without")
    op.stop()


def stand_still(run, seconds):
    """Everything changes while the process does not run."""
    op = operator(run)
    ns, flink = run.namespaces[0], session(run)
    first, saved = submit(run), saving(run, "saves", "savepoint")
    submit(run, "goes")
    op.process.send_signal(signal.SIGSTOP)
    run.kube.delete("sessionjob", ns, "goes")
    run.kube.create("sessionjob", ns, job(ns, "comes"))
    run.kube.patch("flinkdep", ns, "saves", {"spec": {"restartNonce": 7}})
    for pod in pods(run, "taskmanager"):
        run.kube.delete("pod", ns, pod)
    time.sleep(seconds)
    op.process.send_signal(signal.SIGCONT)
    comes = job_ready(run, "comes", seconds=2 * SOON)
    gone(run, "sessionjob", "goes", seconds=2 * SOON)
    wait("the application goes on", lambda: len(saved.runs) == 2 and cluster_ready(run, "saves", seconds=0), 2 * SOON)
    equal(saved.runs[1].path, saved.runs[0].snapshots[-1].path, "what it goes on from")
    wait("the first job runs", lambda: is_ready(run.kube.get("sessionjob", ns, "first")), SOON)
    equal([flink.accepted[0][2], flink.accepted[2][2], len(flink.accepted)], [first, comes, 3], "submissions")
    op.alive()
    for name in ("first", "comes"):
        delete(run, "sessionjob", name)
    for name in ("demo", "saves"):
        delete(run, "flinkdep", name)
        nothing_left(run, name)
    op.stop()


@test("it stands still for ten seconds while everything changes", full=True)
def stands_still(run):
    stand_still(run, 10)


@test("it stands still for a minute and a half: all connections have ended, and a watch has too", full=True)
def stands_still_long(run):
    stand_still(run, 90)
