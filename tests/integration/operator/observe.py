"""What an engineer on call sees: metrics under their standard names, the debug page, the log level; and who may see them."""
import http.client
import json
import os
import signal
import ssl
import subprocess
import threading
import time

from lib.bed import ROOT
from lib.check import check, dig, equal, wait
from lib.exposition import parse
from lib.operator import overlay
from lib.plane import SOON
from lib.plane_scene import delete, log_has_no, namespace, operator, session, submit
from lib.suite import test

COUNTER, GAUGE, HISTOGRAM = "counter", "gauge", "histogram"
CONTROLLERS = ("flinkdeployments", "flinksessionjobs", "flinkstatesnapshots")
# What dashboards and alerts for controller-runtime, client-go and Prometheus' client libraries read.
STANDARD = {
    "controller_runtime_reconcile_total": (COUNTER, {"controller", "result"}),
    "controller_runtime_reconcile_errors_total": (COUNTER, {"controller"}),
    "controller_runtime_reconcile_time_seconds": (HISTOGRAM, {"controller"}),
    "controller_runtime_max_concurrent_reconciles": (GAUGE, {"controller"}),
    "controller_runtime_active_workers": (GAUGE, {"controller"}),
    "workqueue_depth": (GAUGE, {"name"}),
    "workqueue_adds_total": (COUNTER, {"name"}),
    "workqueue_queue_duration_seconds": (HISTOGRAM, {"name"}),
    "workqueue_work_duration_seconds": (HISTOGRAM, {"name"}),
    "workqueue_unfinished_work_seconds": (GAUGE, {"name"}),
    "workqueue_longest_running_processor_seconds": (GAUGE, {"name"}),
    "workqueue_retries_total": (COUNTER, {"name"}),
    "rest_client_requests_total": (COUNTER, {"code", "method", "host"}),
    "rest_client_request_duration_seconds": (HISTOGRAM, {"verb", "host"}),
    "process_cpu_seconds_total": (COUNTER, set()),
    "process_open_fds": (GAUGE, set()),
    "process_max_fds": (GAUGE, set()),
    "process_virtual_memory_bytes": (GAUGE, set()),
    "process_resident_memory_bytes": (GAUGE, set()),
    "process_start_time_seconds": (GAUGE, set()),
    # … and our own
    "flink_operator_build_info": (GAUGE, {"version", "namespace", "pod"}),
    "loop_turn_seconds": (HISTOGRAM, set()),
    "store_objects": (GAUGE, {"kind"}),
    "store_bytes": (GAUGE, {"kind"}),
    "watch_age_seconds": (GAUGE, {"kind", "namespace"}),
}
WATCHED = ("FlinkDeployment", "FlinkSessionJob", "FlinkStateSnapshot", "Deployment", "Pod", "Service", "ConfigMap")
SECRET = "not-for-the-eyes-of-others"


# ---- metrics ----

def near(found, expected, most, what):
    check(abs(found - expected) <= most, f"{what}: expected {expected} give or take {most}, found {found}")


@test("metrics have the names, types and labels of controller-runtime, client-go and Prometheus' libraries, and are true")
def metrics(run):
    before = time.time()
    op = operator(run)
    first = parse(op.get("/metrics")[1])
    for name in CONTROLLERS:
        for result in ("success", "error", "requeue", "requeue_after"):
            check((("", (("controller", name), ("result", result))) in first["controller_runtime_reconcile_total"].samples),
                  f"no series of {name} with result {result} before the first one")
    session(run)
    submit(run)
    found = parse(op.get("/metrics")[1])
    equal({n: (m.kind, m.labels()) for n, m in found.items() if n in STANDARD}, STANDARD, "names, types and labels")
    total = found["controller_runtime_reconcile_total"]
    for name, workers in zip(CONTROLLERS, (64, 256)):
        equal(found["controller_runtime_max_concurrent_reconciles"].value(controller=name), workers, f"workers of {name}")
        check(total.value(controller=name) == found["controller_runtime_reconcile_time_seconds"].value("_count", controller=name) > 1,
              lambda name=name: f"{total.value(controller=name)} reconciliations of {name}")
        check(found["workqueue_adds_total"].value(name=name) >= total.value(controller=name), f"too few were queued of {name}")
    check(total.value(result="requeue") > 0, lambda: f"results: {total.samples}")
    equal(total.value(result="error"), found["controller_runtime_reconcile_errors_total"].value(), "errors")
    for kind, n in (("FlinkDeployment", 1), ("FlinkSessionJob", 1), ("Deployment", 1), ("Pod", 2), ("Service", 2)):
        equal(found["store_objects"].value(kind=kind), n, f"objects of kind {kind}")
        check(100 * n < found["store_bytes"].value(kind=kind) < 10000 * n,
              lambda kind=kind: f"bytes of {kind}: {found['store_bytes'].value(kind=kind)}")
    equal(found["store_objects"].value(kind="Ingress") + found["store_bytes"].value(kind="Ingress"), 0, "Ingresses")
    equal({dict(labels)["kind"] for _, labels in found["watch_age_seconds"].samples}, set(WATCHED), "kinds that are watched")
    check(all(0 <= age < 120 for age in found["watch_age_seconds"].samples.values()), lambda: found["watch_age_seconds"].samples)
    near(found["process_open_fds"].value(), len(os.listdir(f"/proc/{op.process.pid}/fd")), 5, "open files")
    near(found["process_start_time_seconds"].value(), before, 15, "start")
    near(found["process_resident_memory_bytes"].value() / 2**20, op.memory()[0], 10, "resident MB")
    check(found["process_virtual_memory_bytes"].value() > found["process_resident_memory_bytes"].value(), "less mapped than resident")
    check(found["process_max_fds"].value() >= 1024, "few files may be open")
    for name, metric in first.items():
        if metric.kind == "counter":
            check(found[name].value() >= metric.value(), f"{name} went back")
    delete(run, "sessionjob", "first")  # its TaskManager is looked at when it has been idle for long enough
    wait("a pass that asks for another one", lambda: parse(op.get("/metrics")[1])["controller_runtime_reconcile_total"].value(
        result="requeue_after") > 0, SOON)
    op.stop()


# ---- the secure port ----

def certificate(run, name, *more):
    """(certificate, key) as PEM, for 127.0.0.1."""
    os.makedirs(run.dir, exist_ok=True)
    made = [os.path.join(run.dir, f"{name}.{end}") for end in ("crt", "key")]
    subprocess.run(["openssl", "req", "-x509", "-nodes", "-days", "2", "-subj", f"/CN={name}", "-addext",
                    "subjectAltName=IP:127.0.0.1", "-out", made[0], "-keyout", made[1],
                    *(more or ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"))], check=True, capture_output=True)
    return [open(path, encoding="utf-8").read() for path in made]


class Mounted:
    """A Secret as the kubelet mounts it: both files change in one moment."""

    def __init__(self, folder):
        self.folder, self.n = folder, 0
        os.makedirs(folder)
        for name in ("tls.crt", "tls.key"):
            os.symlink(f"..data/{name}", os.path.join(folder, name))

    def put(self, cert, key):
        self.n += 1
        fresh = os.path.join(self.folder, f"..{self.n}")
        os.mkdir(fresh)
        for name, text in (("tls.crt", cert), ("tls.key", key)):
            with open(os.path.join(fresh, name), "w", encoding="utf-8") as f:
                f.write(text)
        os.symlink(f"..{self.n}", os.path.join(self.folder, "..next"))
        os.rename(os.path.join(self.folder, "..next"), os.path.join(self.folder, "..data"))

    def options(self):
        return "--tls-cert", f"{self.folder}/tls.crt", "--tls-key", f"{self.folder}/tls.key", "--secure-port", "0"


def rights(run):
    """Gives the operator's account, and those of this test, what deploy/metrics-auth has for them."""
    folder = overlay(os.path.join(run.dir, "overlay"), "deploy/base", "flink-operator:test", "flink-operator",
                     more=[f"components: [{os.path.relpath(os.path.join(ROOT, 'deploy/metrics-auth'), os.path.join(run.dir, 'overlay'))}]"])
    made = run.kube.kubectl("kustomize", folder)
    roles = [part for part in made.split("\n---\n") if "\nkind: ClusterRole\n" in part]
    equal(len(roles), 3, "ClusterRoles of deploy/metrics-auth")
    run.kube.kubectl("apply", "-f", "-", stdin="\n---\n".join(roles))
    for role, account in (("reviews", run.account), ("metrics-reader", f"{run.account}-prometheus"), ("debug", f"{run.account}-engineer")):
        run.plane.account(account)
        name = f"{account}-{role}"
        run.kube.apply({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": name},
                        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": f"flink-operator-{role}"},
                        "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": "op"}]})
        run.cleanup(run.kube.kubectl, "delete", "clusterrolebinding", name)
    run.plane.account(f"{run.account}-nobody")


class Secure:
    """A client of the secure port."""

    def __init__(self, op, *authorities):
        self.op, self.port = op, int(op.log().split("securePort=")[1].split()[0])
        self.tls = ssl.create_default_context(cadata="".join(authorities))

    def connect(self):
        connection = http.client.HTTPSConnection("127.0.0.1", self.port)
        connection.sock = self.tls.wrap_socket(self.op.plane.netns.connect("127.0.0.1", self.port), server_hostname="127.0.0.1")
        connection.sock.settimeout(20)
        return connection

    def get(self, path, token=None, method="GET", connection=None):
        """(status, text)"""
        used = connection or self.connect()
        try:
            used.request(method, path, headers={"Authorization": f"Bearer {token}"} if token else {})
            answer = used.getresponse()
            return answer.status, answer.read().decode()
        finally:
            if not connection:
                used.close()


def secured(run, *options):
    """An operator with a secure port: (it, its client, its certificate as it is mounted)."""
    namespace(run)
    rights(run)
    pair = certificate(run, "first")
    mounted = Mounted(os.path.join(run.dir, "tls"))
    mounted.put(*pair)
    op = operator(run, None, *mounted.options(), *options)
    return op, Secure(op, pair[0]), mounted


def asked(run, since, resource):
    return [e for e in run.plane.requests(run.account, since) if dig(e, "objectRef.resource") == resource]


@test("by TLS, metrics are for who brings a token and may get them; the API server is asked once a minute")
def who_may(run):
    op, secure, _ = secured(run)
    token = {who: run.plane.token(f"{run.account}-{who}") for who in ("prometheus", "engineer", "nobody")}
    for path, who, status, word in (
            ("/metrics", "prometheus", 200, "\nprocess_open_fds "), ("/metrics", "engineer", 200, "\nprocess_open_fds "),
            ("/metrics", "nobody", 403, "-nobody may not get /metrics"), ("/metrics", None, 401, "a bearer token is needed"),
            ("/metrics", "rubbish", 401, "a bearer token is needed"), ("/debug", "engineer", 200, '"workQueues"'),
            ("/debug", "prometheus", 403, "-prometheus may not get /debug"), ("/debug", None, 401, "needed"),
            ("/debug/log-level", "prometheus", 403, "may not get"), ("/elsewhere", "engineer", 404, "/debug/log-level")):
        found, text = secure.get(path, token.get(who, who))
        check(found == status and word in text, f"{path} for {who}: {found} {text[:300]}")
    changed = token["prometheus"][:-8] + "AAAAAAAA"
    equal(secure.get("/metrics", changed)[0], 401, "a token with another signature")
    equal(secure.get("/debug/log-level?level=debug", token["prometheus"], "PUT")[0], 403, "the log level, for Prometheus")
    equal(secure.get("/metrics", token["engineer"], "PUT")[0], 405, "PUT of what cannot be changed")
    for path, status in (("/healthz", 200), ("/readyz", 200), ("/metrics", 403), ("/debug", 403), ("/debug/log-level", 403)):
        found, text = op.get(path)
        check(found == status and (status == 200 or f"port {secure.port}, by TLS" in text), f"{path} without TLS: {found} {text}")
    since, connection = time.time(), secure.connect()
    for i in range(20):
        equal(secure.get("/metrics", token["prometheus"], connection=connection if i % 2 else None)[0], 200, "scrape")
    equal(asked(run, since, "tokenreviews") + asked(run, since, "subjectaccessreviews"), [], "reviews of one who is known")
    parse(secure.get("/metrics", token["prometheus"])[1])
    for text in token.values():
        check(text not in op.log(), "a token in the log")
    equal(run.plane.refusals(run.account), [], "what the API server has forbidden to the operator")
    op.stop()


@test("without the right to review nobody gets metrics, which is told; while the API server is away those that it knew do")
def no_reviews(run):
    op, secure, _ = secured(run)
    token, other = (run.plane.token(f"{run.account}-{who}") for who in ("prometheus", "engineer"))
    run.kube.kubectl("delete", "clusterrolebinding", f"{run.account}-reviews")

    def refused():
        status, text = secure.get("/metrics", token)
        check(status == 503 and "cannot create resource" in text, f"{status} {text[:300]}")
        return True
    wait("reviews refused", refused, SOON)
    check("cannot find out who asks for metrics" in op.log(), "nothing in the log")
    run.kube.apply({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
                    "metadata": {"name": f"{run.account}-reviews"},
                    "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "flink-operator-reviews"},
                    "subjects": [{"kind": "ServiceAccount", "name": run.account, "namespace": "op"}]})
    wait("metrics again", lambda: secure.get("/metrics", token)[0] == 200, SOON)
    run.bed("ctl", "kill", "apiserver")
    try:
        equal(secure.get("/metrics", token)[0], 200, "one who was known, while the API server is away")
        status, text = secure.get("/metrics", other)
        check(status == 503, f"one who was not known, while the API server is away: {status} {text}")
        equal(op.get("/healthz")[0], 200, "health")
    finally:
        run.bed("ctl", "start", "apiserver")
    wait("the other one, too", lambda: secure.get("/metrics", other)[0] == 200, SOON)
    op.stop()


@test("another certificate is taken without a request that fails; one that is broken is told, and the former one stays",
      full=True)
def rotation(run):
    op, secure, mounted = secured(run)
    token = run.plane.token(f"{run.account}-prometheus")
    second = certificate(run, "second", "-newkey", "rsa:2048")
    both = Secure(op, open(os.path.join(run.dir, "first.crt"), encoding="utf-8").read(), second[0])
    failed, done, ended = [], [0, 0, 0], threading.Event()

    def load(i):
        kept = both.connect() if i == 0 else None
        while not ended.is_set():
            try:
                status, text = both.get("/metrics", token, connection=kept)
                check(status == 200 and text.endswith("\n"), f"{status} {text[-200:]}")
            except Exception as e:  # pylint: disable=broad-except
                failed.append(repr(e))
            done[i] += 1
    threads = [threading.Thread(target=load, args=(i,), daemon=True) for i in range(3)]
    for thread in threads:
        thread.start()
    only = Secure(op, second[0])

    def renewed():
        try:
            return only.get("/metrics", token)[0] == 200
        except ssl.SSLError:
            return False
    mounted.put(*second)
    wait("the new certificate shown", renewed, SOON, 0.5)
    mounted.put(second[0], open(os.path.join(run.dir, "first.key"), encoding="utf-8").read())
    wait("the broken one told", lambda: "does not belong to the certificate" in op.log(), SOON, 0.2)
    check(renewed(), "the former certificate is not shown any more")
    ended.set()
    for thread in threads:
        thread.join()
    equal(failed, [], "requests that failed")
    check(all(n > 10 for n in done), f"few requests: {done}")
    run.note(f"{sum(done)} requests")
    try:
        secure.get("/metrics", token)
        check(False, "the first certificate is still shown")
    except ssl.SSLError:
        pass
    op.stop()


# ---- debug ----

@test("/debug tells what is queued, under way, asked, watched and known, and nothing of specs; without a token only on this machine")
def debug(run):
    op = operator(run, None, "--local-debug")
    flink = session(run, conf={"pipeline.name": SECRET})
    flink.run_seconds = 8
    submit(run, ready=False, args=["--password", SECRET])

    def submitting():
        found = json.loads(op.get("/debug")[1])
        return next((found for p in found["plans"]["list"] if [a for a in p["actions"] if a["action"] == "submit job"]), None)
    found = wait("a submission under way", submitting, SOON, 0.05)
    ns = run.namespaces[0]
    plan = next(p for p in found["plans"]["list"] if p["kind"] == "FlinkSessionJob")
    equal((plan["key"], len(plan["reconcileID"])), (f"{ns}/first", 16), "the plan")
    check(0 <= plan["forMs"] < 60000 and not plan["actions"][0]["ended"], f"the plan: {plan}")
    queues = {q["name"]: q for q in found["workQueues"]}
    equal(set(queues), set(CONTROLLERS), "queues")
    job = next(i for i in queues["flinksessionjobs"]["items"] if i["key"] == f"{ns}/first")
    equal((job["state"], job["failures"], queues["flinksessionjobs"]["plansUnderWay"]), ("working", 0, 1), "the job's key")
    probe = found["probes"]["list"][0]
    check(probe["key"] == f"{ns}/demo" and probe["reachable"] and 0 <= probe["answerAgeMs"] < 60000, f"the probe: {probe}")
    watches = {w["kind"]: w for w in found["watches"]["list"]}
    equal(set(watches), set(WATCHED), "kinds that are watched")
    for w in watches.values():
        check(w["state"] == "watching" and w["synced"] and w["namespace"] == ns and w["resourceVersion"] and w["lists"] == 1, f"{w}")
    stores = {s["kind"]: s for s in found["stores"]}
    equal((stores["FlinkDeployment"]["objects"], stores["FlinkDeployment"]["namespaces"]), (1, {ns: 1}), "the store")
    equal(found["leader"], {"elected": False, "leads": True}, "leader")
    check(found["ready"] and found["logLevel"] == "info" and found["upMs"] > 0, f"{ {k: found[k] for k in ('ready', 'logLevel')} }")
    check(SECRET not in json.dumps(found), "what a spec says is shown")
    sock = run.plane.netns.connect("10.99.0.1", op.port())
    sock.sendall(b"GET /debug HTTP/1.0\r\nHost: a\r\n\r\n")
    check(b" 403 " in sock.recv(100), "/debug for another machine")
    sock.close()
    op.stop()


@test("the debug page of two hundred and ten clusters is cut where it gets long, and says so", full=True)
def much(run):
    op = operator(run, None, "--local-debug")
    ns = run.namespaces[0]
    for i in range(210):
        run.kube.create("flinkdep", ns, {
            "apiVersion": "flink.apache.org/v1beta1", "kind": "FlinkDeployment", "metadata": {"name": f"d{i}"},
            # With an account that nobody can have, so that nothing is made for them.
            "spec": {"image": "flink:1.20", "flinkVersion": "v1_20", "jobManager": {"resource": {"memory": "1024m", "cpu": 0.1}},
                     "taskManager": {"resource": {"memory": "1024m", "cpu": 0.1}}, "serviceAccount": "missing" * 40}})
    found = wait("all in the store", lambda: next(
        (f for f in [json.loads(op.get("/debug")[1])] for s in f["stores"]
         if s["kind"] == "FlinkDeployment" and s["objects"] == 210), None), SOON, 0.2)
    wait("all have a probe", lambda: json.loads(op.get("/debug")[1])["probes"].get("leftOut") == 10, SOON, 0.2)
    equal(len(json.loads(op.get("/debug")[1])["probes"]["list"]), 200, "probes that are shown")
    queue = next(q for q in found["workQueues"] if q["name"] == "flinkdeployments")
    check(len(queue["items"]) + queue.get("leftOut", 0) == queue["keys"], "items that are neither shown nor counted")
    parse(op.get("/metrics")[1])
    op.stop()


# ---- log level ----

@test("the log level changes while the operator runs, by who may and by a signal, and nothing else of it does",
      full=True)
def log_level(run):
    op, secure, _ = secured(run)
    token = run.plane.token(f"{run.account}-engineer")

    def planned():
        """Whether a pass is in the log that only debug shows."""
        before = op.log().count("planned")
        run.kube.patch("flinkdep", run.namespaces[0], "demo", {"metadata": {"labels": {"at": str(time.time_ns())}}})
        time.sleep(1)
        return op.log().count("planned") > before
    session(run)
    check(not planned(), "debug without having been asked for")
    equal(secure.get("/debug/log-level", token), (200, "info\n"), "the level")
    equal(secure.get("/debug/log-level?level=debug", token, "PUT"), (200, "debug\n"), "another level")
    wait("debug in the log", planned, SOON)
    equal(secure.get("/debug/log-level?level=loud", token, "PUT")[0], 400, "a level that is none")
    equal(secure.get("/debug/log-level", token), (200, "debug\n"), "the level after that")
    equal(secure.get("/debug/log-level?level=info", token, "PUT"), (200, "info\n"), "the former level")
    check(not planned(), "still debug")
    op.process.send_signal(signal.SIGUSR1)
    wait("debug by a signal", planned, SOON)
    op.process.send_signal(signal.SIGUSR1)
    wait("and back", lambda: secure.get("/debug/log-level", token) == (200, "info\n"), SOON)
    check(not planned(), "still debug after a second signal")
    log_has_no(op, "error")
    check(token not in op.log(), "a token in the log")
    op.stop()
