"""Plays the kubelet for pods of Flink clusters where there is no node: says in their status that they run, at addresses
where fake_flink.py answers, and registers TaskManagers with their JobManager. Pods are bound to no node, so the API
server ends them at once when they are deleted."""
import heapq
import http.client
import itertools
import json
import threading
import time

from lib.check import Failure
from lib.fake_application import Application
from lib.kube import UnixConnection

SELECTOR = "app%2Ccomponent%20in%20%28jobmanager%2Ctaskmanager%29"


class Kubelet:
    def __init__(self, kube, flinks):
        self.kube, self.flinks = kube, flinks
        self.start_seconds = 0.05  # from a pod's creation to its start
        self.main_seconds = 0.3  # from a JobManager's start to its contending for the lead of an application
        self.register_seconds = 0.05  # from a TaskManager's start to its registration
        self.notice_seconds = 0.05  # from a TaskManager's end to the JobManager's noticing
        # policy(pod): False for a pod that is not to start, or a status of its own; None for the normal one
        self.policy = None
        self.known, self.ended, self.connection = {}, False, None
        self.due, self.order, self.wake = [], itertools.count(), threading.Condition()
        self.threads = [threading.Thread(target=f, daemon=True) for f in (self.follow, self.work, self.work)]
        for t in self.threads:
            t.start()

    def stop(self):
        self.ended = True
        with self.wake:
            self.wake.notify_all()
        if self.connection and self.connection.sock:
            self.connection.sock.close()

    # ---- later ----

    def later(self, seconds, function, *arguments):
        with self.wake:
            heapq.heappush(self.due, (time.monotonic() + seconds, next(self.order), function, arguments))
            self.wake.notify()

    def work(self):
        while True:
            with self.wake:
                while not self.ended and (not self.due or self.due[0][0] > time.monotonic()):
                    self.wake.wait(self.due[0][0] - time.monotonic() if self.due else None)
                if self.ended:
                    return
                _, _, function, arguments = heapq.heappop(self.due)
            try:
                function(*arguments)
            except (OSError, Failure) as e:
                if getattr(e, "status", 0) not in (404, 409):
                    self.later(0.5, function, *arguments)

    # ---- pods ----

    def follow(self):
        while not self.ended:
            try:
                listed = self.kube.json("GET", f"api/v1/pods?labelSelector={SELECTOR}")
                here = {p["metadata"]["uid"] for p in listed["items"]}
                for uid in [u for u in self.known if u not in here]:
                    self.gone(uid)
                for pod in listed["items"]:
                    self.seen(pod)
                self.watch(listed["metadata"]["resourceVersion"])
            except (OSError, ValueError, AttributeError, KeyError, Failure, http.client.HTTPException):
                time.sleep(0.1)

    def watch(self, version):
        self.connection = UnixConnection(self.kube.socket, 600)
        self.connection.request("GET", f"/api/v1/pods?watch=1&labelSelector={SELECTOR}&resourceVersion={version}")
        for line in self.connection.getresponse():
            event = json.loads(line)
            if event["type"] == "ERROR":
                return
            if event["type"] == "DELETED":
                self.gone(event["object"]["metadata"]["uid"])
            else:
                self.seen(event["object"])

    def seen(self, pod):
        uid = pod["metadata"]["uid"]
        if uid in self.known or pod["metadata"].get("deletionTimestamp"):
            return
        self.known[uid] = pod
        self.later(self.start_seconds, self.start, pod)

    def gone(self, uid):
        pod = self.known.pop(uid, None)
        if not pod:
            return
        if pod["metadata"]["labels"]["component"] == "jobmanager":
            self.flinks.stop(uid)
        else:
            jm = self.cluster(pod).jobmanager
            if jm:
                self.later(self.notice_seconds, jm.unregister, pod["metadata"]["name"])

    def cluster(self, pod):
        meta = pod["metadata"]
        return self.flinks.cluster(f"{meta['namespace']}/{meta['labels']['app']}")

    def start(self, pod):
        meta = pod["metadata"]
        own = self.policy(pod) if self.policy else None
        if own is False or meta["uid"] not in self.known:
            return
        ip, application = "10.249.0.1", None
        if meta["labels"]["component"] == "jobmanager" and own is None:
            jm, ip = self.flinks.start(f"{meta['namespace']}/{meta['labels']['app']}", meta["uid"])
            application = jm.application = Application.of(jm, pod, self.kube, self.later)
        try:
            self.patch(pod, own or self.running(pod, ip))
        except (OSError, Failure):
            self.flinks.stop(meta["uid"])
            raise
        if application:
            self.later(self.main_seconds, application.begin)
        if meta["labels"]["component"] == "taskmanager" and own is None:
            self.later(self.register_seconds, self.register, pod)

    def register(self, pod):
        jm = self.cluster(pod).jobmanager
        if pod["metadata"]["uid"] not in self.known:
            return
        if jm:
            jm.register(pod["metadata"]["name"])
        else:
            self.later(0.2, self.register, pod)

    def patch(self, pod, status):
        path = self.kube.path("pod", pod["metadata"]["namespace"], pod["metadata"]["name"]) + "/status"
        self.kube.json("PATCH", path, {"metadata": {"uid": pod["metadata"]["uid"]}, "status": status},
                       content="application/merge-patch+json")

    @staticmethod
    def running(pod, ip):
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        return {
            "phase": "Running", "podIP": ip, "podIPs": [{"ip": ip}], "startTime": now,
            "conditions": [{"type": t, "status": "True", "lastTransitionTime": now}
                           for t in ("PodScheduled", "Initialized", "ContainersReady", "Ready")],
            "containerStatuses": [
                {"name": c["name"], "image": c["image"], "imageID": "", "restartCount": 0, "ready": True, "started": True,
                 "state": {"running": {"startedAt": now}}} for c in pod["spec"]["containers"]],
        }
