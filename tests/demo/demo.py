"""make demo: a session cluster that scales from zero TaskManagers and back, on a real Kubernetes with a real Flink.

Brings up a bed of its own, named "demo", which stays until `make demo-down`. With KUBECONFIG set it uses that cluster;
there IMAGE names the operator's image, FLINK_IMAGE a Flink of 1.20 (default: flink:1.20).
"""
import argparse
import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
import urllib.request

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
os.chdir(ROOT)
sys.path[:0] = [os.path.join(ROOT, "tests")]

from console import Step, duration, say  # noqa: E402
from lib.check import Failure, check, dig  # noqa: E402
from lib.flink import Flink  # noqa: E402
from lib.operator import NAMESPACE, REPLICAS, Deployed  # noqa: E402
from places import HOME, OWN, clear, install, place, start  # noqa: E402

CLUSTER = "data-team-flink"
JOBS = ["cars", "trucks"]
LONG = 300  # s for what takes seconds when images are there and minutes when they are pulled
SOON = 90


class Demo:
    def __init__(self, where):
        self.place = where
        self.marks = []  # (time, what happened)
        self.installed = False  # something of it, perhaps

    # ---- the whole ----

    def play(self):
        image = self.place.prepare()
        self.kube = self.place.kube
        self.flink = Flink(self.kube, HOME, CLUSTER)
        self.install(image)
        self.cluster()
        self.first_job()
        self.second_job()
        self.end()
        self.timeline()
        self.farewell()

    def install(self, image):
        with Step("CRDs, RBAC and the operator: deploy/cluster-wide with that image") as step:
            step.detail = "kubectl apply"
            folder = install(self.kube, image)
            clear(self.kube, step)
            self.installed = True
            self.shown(step, "apply", "-k", os.path.relpath(folder))
            step.until("the operator's Deployment", self.rolled_out, LONG)
            self.shown(step, "get", "-n", NAMESPACE, "pods")
            self.kube.create("namespace", None, {"metadata": {"name": HOME, "labels": {OWN: "true"}}})

    def cluster(self):
        with Step(f"A session cluster: FlinkDeployment {CLUSTER}") as step:
            self.watch = self.kube.watch("pod", HOME)
            self.apply(step, CLUSTER, "cluster applied", ("image: flink:1.20", f"image: {self.place.flink_image}"))
            step.until(f"FlinkDeployment {CLUSTER}", lambda: ready(self.kube.get("flinkdep", HOME, CLUSTER)), LONG)
            self.mark("cluster Ready")
            counts = self.counts()
            check(counts == (0, 0, 0), f"a new cluster has TaskManagers or slots: {counts}")
            step.say(f"Ready: {self.slots()}")

    def first_job(self):
        with Step("A first job: FlinkSessionJob cars, which needs 2 slots") as step:
            self.job(step, "cars", ["1-1"])
            self.records(step, "cars")

    def second_job(self):
        with Step("A second job beside it: FlinkSessionJob trucks, which needs 4 slots more") as step:
            self.job(step, "trucks", ["1-1", "1-2", "1-3"])
            self.records(step, "trucks")
            self.shown(step, "get", "-n", HOME, "flinkdep,sessionjob,pods")

    def end(self):
        with Step("Both jobs are deleted") as step:
            step.detail = "kubectl delete"
            ids = [self.job_id(name) for name in JOBS]
            self.mark("deletion of both jobs")
            self.shown(step, "delete", "-n", HOME, *(f"sessionjob/{name}" for name in JOBS), f"--timeout={SOON}s")
            states = [dig(self.flink.job(i), "state") for i in ids]
            check(states == ["CANCELED"] * 2, f"the jobs' states in Flink: {states}")
            self.mark("both jobs CANCELED")
            step.say(f"in Flink both are CANCELED; {self.slots()}")
            step.until("TaskManagers released after the idle timeout of 10 s", self.back_to_zero, SOON)
            self.mark("back to zero")
            step.say(f"the idle TaskManagers are released: {self.slots()}")

    # ---- its parts ----

    def rolled_out(self):
        deployment = self.kube.get("deployment", NAMESPACE, "flink-operator")
        status = dig(deployment, "status", {})
        pods = [status.get(key) for key in ("replicas", "updatedReplicas", "availableReplicas")]
        waiting = [dig(pod, "status.containerStatuses.0.state.waiting", {}) for pod in Deployed(self.kube).pods()]
        check(status.get("observedGeneration") == deployment["metadata"]["generation"] and pods == [REPLICAS] * 3,
              lambda: ", ".join(f"{w['reason']} {w.get('message', '')}" for w in waiting if w) or "its pods are not ready")
        return True

    def apply(self, step, name, what, change=("", "")):
        path = f"tests/demo/{name}.yaml"
        with open(path, encoding="utf-8") as f:
            manifest = f.read()
        step.say(f"$ kubectl apply -n {HOME} -f {path}")
        self.mark(what)
        self.kube.kubectl("apply", "-n", HOME, "-f", "-", stdin=manifest.replace(*change))

    def shown(self, step, *words):
        """A command of kubectl with its output."""
        step.say(f"$ kubectl {' '.join(words)}\n" + self.kube.kubectl(*words, timeout=LONG + 10).rstrip())

    def job(self, step, name, taskmanagers):
        self.apply(step, name, f"job {name} applied")
        names = {f"{CLUSTER}-taskmanager-{t}" for t in taskmanagers}

        def appeared():
            found = {p["metadata"]["name"] for p in self.taskmanagers()}
            check(found == names, f"TaskManagers: {', '.join(sorted(found)) or 'none'}")
            return True
        step.until(f"TaskManagers of job {name}", appeared, SOON, 0.05)
        step.say("TaskManager pods: " + ", ".join(sorted(names)))
        job = step.until(f"FlinkSessionJob {name}", lambda: ready(self.kube.get("sessionjob", HOME, name)), LONG)
        state = dig(job, "status.jobStatus.state")
        self.mark(f"job {name} {state}")
        step.say(f"{state}; {self.slots()}")

    def records(self, step, name):
        """Their number, twice."""
        job = self.job_id(name)
        first = step.until(f"records of job {name}", lambda: self.flink.flowing(job), SOON, 0.5)
        step.say(f"records through its source: {first}")
        step.say(f"and now: {step.until('more records', lambda: self.flink.flowing(job, first), SOON, 2)}")

    def job_id(self, name):
        return dig(self.kube.get("sessionjob", HOME, name), "status.jobStatus.jobId")

    def taskmanagers(self):
        return self.kube.list("pod", HOME, f"app={CLUSTER},component=taskmanager")

    def counts(self):
        """TaskManager pods, TaskManagers that Flink knows, its slots."""
        overview = self.flink.overview()
        return len(self.taskmanagers()), overview["taskmanagers"], overview["slots-total"]

    def slots(self):
        overview = self.flink.overview()
        taskmanagers, slots, free = (overview[key] for key in ("taskmanagers", "slots-total", "slots-available"))
        return f"{taskmanagers} TaskManager{'s' * (taskmanagers != 1)}, {slots} slots ({free} free)"

    def back_to_zero(self):
        counts = self.counts()
        check(counts == (0, 0, 0), "{} TaskManager pods, {} TaskManagers and {} slots in Flink".format(*counts))
        return True

    def mark(self, what):
        self.marks.append((time.time(), what))

    # ---- what remains ----

    def timeline(self):
        self.watch.stop()
        began, there = self.marks[0][0], set()
        happened = sorted([(at, what, None) for at, what in self.marks] +
                          [(at, event, pod) for at, event, pod in self.watch.history
                           if dig(pod, "metadata.labels.component") == "taskmanager"], key=lambda e: e[0])
        say("\nTaskManagers over time, in seconds since the cluster was applied:\n")
        for at, what, pod in happened:
            if pod:
                name, going = pod["metadata"]["name"], what == "DELETED" or pod["metadata"].get("deletionTimestamp")
                if (name in there) != bool(going):
                    continue
                there ^= {name}
                what = f"{name.removeprefix(CLUSTER + '-')} {'released' if going else 'created'}"
            say(f"  {at - began:6.1f} s   {len(there)} {'#' * len(there):5} {what}")

    def farewell(self):
        port = free_port()
        forward = [*self.place.kubectl, "port-forward", "-n", HOME, f"svc/{CLUSTER}-rest", f"{port}:8081"]
        with Step("Flink's UI") as step:
            process = start(forward)
            try:
                step.until("Flink's UI through port-forward", lambda: titled(f"http://localhost:{port}/"), 30)
            finally:
                process.terminate()
                process.wait()
        say(f"""
The cluster is still there, and idle. From {ROOT}:

  Flink's UI        {' '.join(forward)}
                    then open http://localhost:{port}
  another job       {' '.join(self.place.kubectl)} apply -n {HOME} -f tests/demo/cars.yaml
  what is going on  {' '.join(self.place.kubectl)} describe -n {HOME} flinkdep,sessionjob
  the end           make demo-down""")

    def explain(self):
        """What is known about why it did not go on."""
        kube = self.kube
        for ns, kinds in ((NAMESPACE, "pods"), (HOME, "flinkdep,sessionjob,pods")):
            known(kube, f"in namespace {ns}", "get", "-n", ns, kinds)
        say()
        try:
            for kind in ("flinkdep", "sessionjob"):
                for cr in kube.list(kind, HOME):
                    for c in dig(cr, "status.conditions", []):
                        say(f"  {kind}/{cr['metadata']['name']}: {c['type']} {c['status']}, {c['reason']}: {c['message']}")
        except (Failure, OSError) as e:
            say(f"  no conditions: {e}")
        for ns in (NAMESPACE, HOME):
            known(kube, f"warnings in {ns}", "get", "events", "-n", ns, "--field-selector=type=Warning",
                  "--sort-by=.lastTimestamp", last=8)
        known(kube, "the end of the operator's log", "logs", "-n", NAMESPACE, "deployment/flink-operator", "--tail=20")


def ready(cr):
    """For wait(): the resource says Ready."""
    c = next((c for c in dig(cr, "status.conditions", []) if c["type"] == "Ready"), None)
    check(c, "no status yet")
    check(c["status"] == "True", lambda: f"{c['reason']}: {c['message']}")
    return cr


def titled(url):
    with urllib.request.urlopen(url, timeout=5) as page:
        return b"Apache Flink" in page.read()


def free_port():
    """8081, or another one if that is in use here."""
    for port in (8081, 0):
        with socket.socket() as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                s.bind(("127.0.0.1", port))
                return s.getsockname()[1]
            except OSError:
                pass
    raise Failure("no free port")


def known(kube, title, *words, last=40):
    try:
        text = kube.kubectl(*words, fail=False, timeout=20).rstrip()
    except Failure as e:
        text = str(e)
    say(f"\n{title}:\n" + textwrap.indent("\n".join(text.split("\n")[-last:]), "  "))


def interrupted(_signal, _frame):
    raise KeyboardInterrupt


def main():
    p = argparse.ArgumentParser(prog="demo", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--down", action="store_true", help="take the demo away again")
    down = p.parse_args().down
    signal.signal(signal.SIGTERM, interrupted)
    began, where, demo = time.monotonic(), None, None
    try:
        where = place()
        if down:
            where.down()
        else:
            demo = Demo(where)
            demo.play()
            say(f"\nAll of it took {duration(time.monotonic() - began)}.")
        return 0
    except (Failure, OSError, subprocess.SubprocessError) as e:
        say(f"\nFAILED{' at: ' + e.step if hasattr(e, 'step') else ''}\n{e}")
        if demo and demo.installed:
            demo.explain()
        say("\nTo try again: make demo. To take everything away: make demo-down.")
        return 1
    except KeyboardInterrupt:
        say("\nInterrupted. To go on: make demo. To take everything away: make demo-down.")
        return 130
    finally:
        if where and where.kube:
            where.kube.close()


sys.exit(main())
