"""JARs that the operator fetches: where from, with what, and what is told of that."""
import os
import socket
import threading

from lib.check import check, equal, wait
from lib.manifests import job
from lib.plane import SOON
from lib.plane_scene import condition, events_of, operator, session
from lib.suite import test

PREFIX = "kubernetes.operator.user.artifacts."
NEAR, FAR = ("10.250.200.1", 9001), ("10.250.200.2", 9002)
JAR = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\njar"
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
