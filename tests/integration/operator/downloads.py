"""JARs that the operator fetches: where from, with what, and what is told of that."""
import os
import socket
import threading

from lib.check import check, equal, wait
from lib.manifests import job
from lib.plane import SOON
from lib.plane_scene import condition, events_of, is_ready, operator, session
from lib.suite import test

PREFIX = "kubernetes.operator.user.artifacts."
NEAR, FAR = ("10.250.200.1", 9001), ("10.250.200.2", 9002)
JAR = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\njar"


def tagged(tag):
    return JAR.replace(b"\r\n\r\n", f'\r\nETag: "{tag}"\r\n\r\n'.encode())


SECRET = "S3CR3T"


class Server:
    """Answers every request with the same bytes: server.heads."""

    def __init__(self, run, address, answer):
        self.answer, self.heads, self.ended = answer, [], False
        self.socket = run.plane.netns.listen(*address)
        self.socket.settimeout(0.2)
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()
        run.cleanup(self.stop)

    def serve(self):
        while not self.ended:
            try:
                connection, _ = self.socket.accept()
            except (socket.timeout, OSError):
                continue
            with connection:
                connection.settimeout(2)
                head = b""
                while b"\r\n\r\n" not in head and (data := connection.recv(65536)):
                    head += data
                self.heads.append(head.decode())
                connection.sendall(self.answer)

    def stop(self):
        self.ended = True
        self.thread.join(3)
        self.socket.close()


def redirect(to):
    return f"HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode()


def with_conf(run, **more):
    path = run.file("config.yaml", "".join(f"{PREFIX}{k.replace('_', '-')}: {v}\n" for k, v in more.items()))
    return operator(run, None, "--conf-dir", os.path.dirname(path))


def told(run, name):
    """What its status says is wrong."""
    c = condition(run.kube.get("sessionjob", run.namespaces[0], name))
    return c.get("message", "") if c.get("status") == "False" else ""


@test("a JAR that is elsewhere by now: the user's headers are for his server only; credentials in a URL are not told")
def redirected(run):
    op = with_conf(run, allowed_schemes='"https,http"', disallow_restricted_hosts="false")
    ns = run.namespaces[0]
    near, far = Server(run, NEAR, redirect(f"http://{FAR[0]}:{FAR[1]}/x.jar?signature={SECRET}B")), Server(run, FAR, JAR)
    session(run)
    asked = job(ns, "first", jar=f"http://{NEAR[0]}:{NEAR[1]}/x.jar?signature={SECRET}A")
    asked["spec"]["flinkConfiguration"] = {f"{PREFIX}http.header": f"X-Api-Key:{SECRET}C,Authorization:{SECRET}D"}
    run.kube.create("sessionjob", ns, asked)
    wait("the JAR is fetched", lambda: far.heads, SOON, 0.1)
    check(f"X-Api-Key: {SECRET}C" in near.heads[0] and f"signature={SECRET}A" in near.heads[0], near.heads[0])
    check("X-Api-Key" not in far.heads[0] and "Authorization" not in far.heads[0] and f"signature={SECRET}B" in far.heads[0],
          far.heads[0])
    for name, url, words in (("gone", f"http://{FAR[0]}:9/x.jar?signature={SECRET}E", "?…"),
                             ("file", "http://10.250.200.3:9003/x.jar", "redirected to file:///etc/passwd"),
                             ("loop", "http://10.250.200.4:9004/x.jar", "redirected more than 5 times")):
        if name == "file":
            Server(run, ("10.250.200.3", 9003), redirect("file:///etc/passwd"))
        if name == "loop":
            Server(run, ("10.250.200.4", 9004), redirect("http://10.250.200.4:9004/again"))
        run.kube.create("sessionjob", ns, job(ns, name, jar=url))
        wait(f"{name}: {words}", lambda name=name, words=words: words in told(run, name), SOON, 0.1)
    run.kube.patch("sessionjob", ns, "first", {"spec": {"flinkConfiguration": {f"{PREFIX}http.header": f"X-Api-Key:{SECRET}F"},
                                                        "job": {"jarURI": f"http://{NEAR[0]}:{NEAR[1]}/y.jar?s={SECRET}G"}}})
    wait("the change is told", lambda: [e for e in events_of(run, "first") if e["reason"] == "SpecChanged"], SOON, 0.1)
    for name in ("first", "gone"):
        for e in events_of(run, name):
            check(SECRET not in e["message"], e["message"])
        status = run.kube.get("sessionjob", ns, name)["status"]
        status["reconciliationStatus"] = None  # holds the whole spec
        check(SECRET not in str(status), str(status))
    check(SECRET not in op.log(), "a secret in the log")


@test("restricted hosts: nothing is fetched from this machine, its link or a private network, however that is written")
def restricted(run):
    with_conf(run, allowed_schemes='"https,http"')
    ns = run.namespaces[0]
    here = Server(run, ("127.0.0.1", 9003), JAR)
    session(run)
    hosts = ["127.0.0.1:9003", "[::ffff:127.0.0.1]:9003", "2130706433:9003", "0:9003", "localhost:9003", "169.254.169.254", "10.250.0.1"]
    for i, host in enumerate(hosts):
        run.kube.create("sessionjob", ns, job(ns, f"j{i}", jar=f"http://{host}/x.jar"))
    for i, host in enumerate(hosts):
        wait(f"{host} is refused", lambda i=i: "has no public address" in told(run, f"j{i}"), SOON, 0.1)
        check("disallow-restricted-hosts" in told(run, f"j{i}"), told(run, f"j{i}"))
    equal(here.heads, [], "requests to this machine")


def brought(flink):
    """Names of the JARs in the JobManager that came from outside."""
    return sorted(jar.split("_", 1)[1] for jar in flink.jobmanager.jars if not jar.startswith("usrlib"))


@test("fifty jobs of one JAR bring it once, also those of the next operator; another content is another JAR; the oldest goes")
def once(run):
    op = with_conf(run, allowed_schemes='"https,http"', disallow_restricted_hosts="false")
    ns = run.namespaces[0]
    server = Server(run, NEAR, tagged("1"))
    flink = session(run, slots=60)
    flink.upload_pause = 0.5

    def submitted(count, name, **more):
        for i in range(count):
            run.kube.create("sessionjob", ns, job(ns, f"{name}{i}", jar=f"http://{NEAR[0]}:{NEAR[1]}/x.jar", **more))
        for i in range(count):
            wait(f"{name}{i} runs", lambda i=i: is_ready(run.kube.get("sessionjob", ns, f"{name}{i}")), 2 * SOON, 0.1)
    submitted(50, "first")
    equal(len(flink.uploads), 1, "uploads of one JAR for fifty jobs")
    equal(len({job for _, _, job in flink.accepted}), 50, "jobs that Flink began to run")
    flink.upload_pause = 0
    op.stop()
    with_conf(run, allowed_schemes='"https,http"', disallow_restricted_hosts="false")
    submitted(1, "second")
    equal(len(flink.uploads), 1, "uploads after another operator came")
    for i in range(6):
        server.answer = tagged(f"later-{i}")
        submitted(1, f"other{i}-")
    equal(len(flink.uploads), 7, "uploads of seven contents")
    equal(len(brought(flink)), 4, "JARs that stay")
    server.answer = JAR
    submitted(2, "plain")
    equal(len(flink.uploads), 9, "uploads of what cannot be told from another content")
    wait("these are deleted", lambda: "job.jar" not in brought(flink), SOON, 0.1)


@test("the JAR is not there any more: brought anew; who brings it breaks off: the next one does", full=True)
def lost_jar(run):
    with_conf(run, allowed_schemes='"https,http"', disallow_restricted_hosts="false")
    ns, jar = run.namespaces[0], f"http://{NEAR[0]}:{NEAR[1]}/x.jar"
    Server(run, NEAR, tagged("1"))
    flink = session(run, slots=8)

    def submitted(*names):
        for name in names:
            run.kube.create("sessionjob", ns, job(ns, name, jar=jar))
        for name in names:
            wait(f"{name} runs", lambda name=name: is_ready(run.kube.get("sessionjob", ns, name)), 2 * SOON, 0.1)
    submitted("a")
    for name in [jar for jar in flink.jobmanager.jars if not jar.startswith("usrlib")]:
        del flink.jobmanager.jars[name]  # somebody has deleted it
    submitted("b")
    equal(len(flink.uploads), 2, "uploads")
    for name in [jar for jar in flink.jobmanager.jars if not jar.startswith("usrlib")]:
        del flink.jobmanager.jars[name]
    failed = []

    def refuse(request):
        if request.kind() == "POST /jars/upload" and len(failed) < 2:
            failed.append(request)
            return "before"
        return None
    flink.hook = refuse
    submitted("c", "d", "e")
    equal((len(failed), len(flink.uploads)), (2, 3), "uploads that broke, and that did not")
    for name in brought(flink):
        check(name.startswith("flink-operator-"), name)
