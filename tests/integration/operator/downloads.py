"""JARs that the operator fetches: where from, with what, and what is told of that."""
import os
import socket
import threading

from lib.check import check, equal, wait
from lib.fake_dns import Dns
from lib.manifests import job
from lib.plane import SOON
from lib.plane_scene import condition, events_of, is_ready, namespace, operator, session
from lib.suite import test

PREFIX = "kubernetes.operator.user.artifacts."
NEAR, FAR = ("10.250.200.1", 9001), ("10.250.200.2", 9002)
JAR = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\njar"


def tagged(tag):
    return JAR.replace(b"\r\n\r\n", f'\r\nETag: "{tag}"\r\n\r\n'.encode())


SECRET = "S3CR3T"


class Server:
    """Answers every request with the same bytes, or with what a function makes of its head: server.heads."""

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
                connection.sendall(self.answer(head.decode()) if callable(self.answer) else self.answer)

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


NEVER = ", from which nothing is fetched"
REFUSED = [  # host, port, what is said of it
    ("127.0.0.1", 9003, "127.0.0.1 is a loopback address (127.0.0.0/8)" + NEVER),
    ("[::ffff:127.0.0.1]", 9003, "127.0.0.1 is a loopback address"),
    ("2130706433", 9003, "127.0.0.1 is a loopback address"),
    ("0x7f.1", 9003, "127.0.0.1 is a loopback address"),
    ("0", 9003, "0.0.0.0 is an unspecified address"),
    ("localhost", 9003, "a loopback address"),
    ("[::1]", 9003, "::1 is a loopback address (::1/128)" + NEVER),
    ("[::]", 9003, ":: is an unspecified address"),
    ("169.254.169.254", 80, "169.254.169.254 is the address of a cloud's metadata"),
    ("[fd00:ec2::254]", 80, "fd00:ec2::254 is the address of a cloud's metadata"),
    ("[fe80::1]", 80, "fe80::1 is a link-local address"),
    ("[64:ff9b::7f00:1]", 9003, "64:ff9b::7f00:1 leads to 127.0.0.1, which is a loopback address"),
    ("224.0.0.1", 80, "224.0.0.1 is a multicast address"),
    ("10.250.203.1", 9003, "10.250.203.1 is a private address (10.0.0.0/8); allowed of these are Services of the own namespace"),
    ("[fd00:7::1]", 9003, "fd00:7::1 is a private address (fc00::/7)"),
    ("inside.example", 9003, "10.250.203.1 is a private address"),
    ("sly.example", 9003, "a loopback address"),
]


def local(run, *addresses):
    """These addresses are the bed's own."""
    for address in addresses:
        run.bed("in", "ip", "address", "add", address, "dev", "lo", *(["nodad"] if ":" in address else []))
        run.cleanup(run.bed, "in", "ip", "address", "del", address, "dev", "lo")


@test("restricted hosts: nothing is fetched from this machine, its link or a private network, however that is written, and "
      "wherever a public server redirects")
def restricted(run):
    with_conf(run, allowed_schemes='"https,http"', allowed_networks="10.250.201.0/24")
    ns = run.namespaces[0]
    local(run, "9.9.9.9/32", "169.254.169.254/32", "fd00:7::1/128", "fd00:ec2::254/128")
    dns = Dns(run.plane.netns, {"inside.example": ["10.250.203.1"], "sly.example": ["127.0.0.1", "::1"]})
    run.cleanup(dns.stop)
    here = [Server(run, at, JAR) for at in (("0.0.0.0", 9003), ("::1", 9003), ("169.254.169.254", 80), ("fd00:ec2::254", 80),
                                            ("fd00:7::1", 9003))]
    public = Server(run, ("9.9.9.9", 9001), lambda head: redirect("http://" + head.split()[1][1:]))
    session(run)
    for i, (host, port, _) in enumerate(REFUSED):
        run.kube.create("sessionjob", ns, job(ns, f"direct-{i}", jar=f"http://{host}:{port}/x.jar"))
        run.kube.create("sessionjob", ns, job(ns, f"led-{i}", jar=f"http://9.9.9.9:9001/{host}:{port}/x.jar"))
    for i, (host, _, words) in enumerate(REFUSED):
        for name in (f"direct-{i}", f"led-{i}"):
            wait(f"{host} {name}: {words}", lambda name=name, words=words: words in told(run, name), SOON, 0.1)
            check("disallow-restricted-hosts" in told(run, name), told(run, name))
    check(len(public.heads) >= len(REFUSED), "the public server was asked for each")
    equal([s.heads for s in here], [[]] * len(here), "requests to this machine")


@test("private networks: the own Service and what the administrator lists; no other Service, no name that only looks like one")
def private(run):
    namespace(run)
    other = namespace(run, "-other")
    with_conf(run, allowed_schemes='"https,http"', allowed_networks='"10.250.201.0/24, fd00:7::/64, *.corp.example"')
    ns = run.namespaces[0]
    local(run, "9.9.9.9/32", "fd00:7::5/128")

    def service(space, name, **spec):
        run.kube.create("service", space, {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": space},
                                           "spec": {"ports": [{"port": 9003}], **spec}})
        return run.kube.get("service", space, name)["spec"].get("clusterIP")
    own, theirs = service(ns, "jars"), service(other, "jars")
    local(run, f"{own}/32", f"{theirs}/32")
    service(ns, "elsewhere", type="ExternalName", externalName=f"jars.{other}.svc.cluster.local")
    dns = Dns(run.plane.netns, {
        f"jars.{ns}.svc": [own], f"jars.{ns}.svc.cluster.local": [own], f"jars.{other}.svc": [theirs],
        f"elsewhere.{ns}.svc": [theirs], f"missing.{ns}.svc": [theirs], f"jars.{ns}.svc.evil.example": [theirs],
        "repo.corp.example": ["10.250.202.1"], "both.example": ["127.0.0.1", "9.9.9.9"], "late.example": ["9.9.9.9"]})
    run.cleanup(dns.stop)
    inside = [Server(run, (at, 9003), JAR) for at in (own, theirs, "10.250.201.5", "10.250.202.1", "127.0.0.1", "fd00:7::5")]
    public = Server(run, ("9.9.9.9", 9003), lambda head: JAR if " /x.jar" in head else redirect("http://" + head.split()[1][1:]))
    flink = session(run, slots=20)
    good = {"own": f"jars.{ns}.svc:9003", "whole": f"jars.{ns}.svc.cluster.local:9003", "network": "10.250.201.5:9003",
            "pattern": "repo.corp.example:9003", "both": "both.example:9003", "six": "[fd00:7::5]:9003",
            "led": f"9.9.9.9:9003/jars.{ns}.svc:9003"}
    bad = {"other": (f"jars.{other}.svc:9003", f"{theirs} is a private address"),
           "external": (f"elsewhere.{ns}.svc:9003", f"it is no cluster IP of a Service {ns}/elsewhere"),
           "missing": (f"missing.{ns}.svc:9003", f"it is no cluster IP of a Service {ns}/missing"),
           "sly": (f"jars.{ns}.svc.evil.example:9003", f"it is no cluster IP of a Service {ns}/jars"),
           "bare": ("10.250.202.1:9003", "allowed-networks"),
           "led-away": (f"9.9.9.9:9003/jars.{other}.svc:9003", f"{theirs} is a private address")}
    for name, url in good.items():
        run.kube.create("sessionjob", ns, job(ns, name, jar=f"http://{url}/x.jar"))
    for name, (url, _) in bad.items():
        run.kube.create("sessionjob", ns, job(ns, name, jar=f"http://{url}/x.jar"))
    for name in good:
        wait(f"{name} runs", lambda name=name: is_ready(run.kube.get("sessionjob", ns, name)), SOON, 0.1)
    for name, (_, words) in bad.items():
        wait(f"{name}: {words}", lambda name=name, words=words: words in told(run, name), SOON, 0.1)
    equal([bool(s.heads) for s in inside], [True, False, True, True, False, True], "who was asked")
    equal(len(flink.uploads), len(good), "JARs that came to Flink")
    check(len(public.heads) >= 3, "the public server was asked")


def brought(flink):
    """Names of the JARs in the JobManager that came from outside."""
    return sorted(jar.split("_", 1)[1] for jar in flink.jobmanager.jars if not jar.startswith("usrlib"))


@test("slow servers of one namespace: JARs of others do not wait for them", full=True, timeout=120)
def slow_servers(run):
    slow, other = namespace(run), namespace(run, "-other")
    with_conf(run, allowed_schemes='"https,http"', disallow_restricted_hosts="false")
    held, servers = [], [run.plane.netns.listen(f"10.250.210.{i + 1}", 9003) for i in range(10)]
    ended = threading.Event()

    def serve(server):
        """It begins to answer, and that is all."""
        server.settimeout(0.2)
        while not ended.is_set():
            try:
                connection, _ = server.accept()
            except (socket.timeout, OSError):
                continue
            held.append(connection)
            connection.sendall(f'HTTP/1.1 200 OK\r\nETag: "{len(held)}"\r\nContent-Length: 100000\r\n\r\n'.encode())
    for server in servers:
        threading.Thread(target=serve, args=(server,), daemon=True).start()
    run.cleanup(ended.set)
    Server(run, NEAR, tagged("1"))
    session(run, ns=other)
    for i in range(20):
        session(run, f"c{i}", slots=4)
        for k in range(4):
            host = f"10.250.210.{(i * 4 + k) % len(servers) + 1}"
            run.kube.create("sessionjob", slow, job(slow, f"j{i}-{k}", f"c{i}", jar=f"http://{host}:9003/{i}-{k}.jar"))
    wait("half of the connections are taken", lambda: len(held) == 32, 2 * SOON)
    run.kube.create("sessionjob", other, job(other, "good", jar=f"http://{NEAR[0]}:{NEAR[1]}/x.jar"))
    wait("the other one's job runs", lambda: is_ready(run.kube.get("sessionjob", other, "good")), SOON, 0.1)
    equal(len(held), 32, "downloads of the slow ones")


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


@test("IPv6: a cluster whose pods have no other addresses, a JAR from there, and the operator's own port at ::1")
def six(run):
    op = with_conf(run, allowed_schemes='"https,http"', allowed_networks="fd00:7::/64")
    ns = run.namespaces[0]
    local(run, "fd00:7::9/128")
    Server(run, ("fd00:7::9", 9009), JAR)
    run.flinks.ipv6 = True
    flink = session(run)
    check(":" in run.kube.list("pod", ns, "component=jobmanager")[0]["status"]["podIP"], "an IPv6 address")
    run.kube.create("sessionjob", ns, job(ns, "first", jar="http://[fd00:7::9]:9009/x.jar"))
    wait("it runs", lambda: is_ready(run.kube.get("sessionjob", ns, "first")), SOON, 0.1)
    equal(len(flink.uploads), 1, "JARs that came to Flink")
    for address in ("::1", "127.0.0.1"):
        equal(op.get("/healthz", address=address)[0], 200, f"health at {address}")
