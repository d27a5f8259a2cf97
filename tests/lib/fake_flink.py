"""JobManagers that are not there: REST servers at the addresses of pods whose kubelet is played by fake_kubelet.py.

What they say is what the real one said to tests/golden/flink/replies/record, with the ids, names, states and numbers of
the case put in; so its shape is that of each version. A test can put its own answer, or a fault, in the place of any of
them: Cluster.hook.

Jobs have a state: a count that goes on while they run. Checkpoints and savepoints keep it under their path, and the next run
begins with what it is given; Cluster.runs is the tale of all that. Application clusters: fake_application.py.
"""
import asyncio
import copy
import functools
import json
import os
import re
import threading
import time
import urllib.parse

from lib.bed import ROOT

REPLIES = os.path.join(ROOT, "tests/golden/flink/replies")
RECORDED = {"1.18": "1.18.1", "1.20": "1.20.5", "2.2": "2.2.1"}
PORT = 8081
NETWORK = "10.250.0.0/16"
NETWORK6 = "fd00:250::/32"
ENDED = ("FINISHED", "CANCELED", "FAILED")
TASKS = {"RUNNING": "running", "CANCELLING": "canceling", "CANCELED": "canceled", "FINISHED": "finished", "FAILED": "failed"}
TICK_S = 0.1
CHECKPOINT_S = 4  # between two; the first one comes sooner
FIRST_S = 0.4
SAVEPOINT_S = 0.3
CANCEL_S = 0.2
RESTART_MS = 1000
CACHE_S = 3  # web.refresh-interval: so old an answer about checkpoints may be
TRIGGERS = {"POST /jobs/*/stop": "stop", "POST /jobs/*/savepoints": "savepoint", "POST /jobs/*/checkpoints": "checkpoint"}
RETENTION = "execution.checkpointing.externalized-checkpoint-retention"


@functools.lru_cache(None)
def recorded(version, name):
    """(status, text) of a recorded reply."""
    status = re.search(r"\.(\d{3})$", name)
    with open(os.path.join(REPLIES, RECORDED[version], name + ".json"), encoding="utf-8") as f:
        return int(status[1]) if status else 200, f.read()


class Reply:
    """body: bytes as they are, or what becomes JSON."""

    def __init__(self, status, body=None, headers=()):
        self.status = status
        self.body = body if isinstance(body, bytes) else json.dumps({} if body is None else body).encode()
        self.headers = {"Content-Type": "application/json; charset=UTF-8", **dict(headers)}

    def head(self):
        lines = [f"HTTP/1.1 {self.status} Reason", *(f"{k}: {v}" for k, v in self.headers.items())]
        if "Content-Length" not in self.headers and "Transfer-Encoding" not in self.headers:
            lines.append(f"Content-Length: {len(self.body)}")
        return ("\r\n".join(lines) + "\r\n\r\n").encode()


class Request:
    def __init__(self, cluster, method, target, headers):
        self.cluster, self.method, self.target, self.headers = cluster, method, target, headers
        url = urllib.parse.urlsplit(target)
        self.path, self.query = url.path, dict(urllib.parse.parse_qsl(url.query))
        self.body, self.size = b"", 0

    def kind(self):
        """The request without what differs from job to job: "GET /jobs/*"."""
        path = re.sub(r"^/jars/(?!upload$)[^/]+", "/jars/*", self.path)
        return self.method + " " + re.sub(r"[0-9a-f]{32}", "*", path)


class Cluster:
    """A session cluster over the lives of its JobManagers; what tests look at and set."""

    def __init__(self, key, version="1.20", slots=1):
        self.key, self.version, self.slots = key, version, slots
        self.run_seconds = 0  # how long main() takes
        self.upload_pause = 0  # s between pieces of an upload: a slow JobManager
        self.savepoints = None  # where they go if a request does not say it
        self.starts = True  # whether a JobManager answers at all
        # hook(request): None for the normal answer, a Reply, a word of FAULTS, or a coroutine function (reader, writer)
        self.hook = None
        self.jobmanager = None
        self.requests = []  # (time, kind) of every request
        self.accepted = []  # (time, pod uid, job id) of every job that Flink began to run
        self.uploads = []  # bytes of every upload that was whole
        self.runs = []  # every Run, over all JobManagers, in order
        self.states = {}  # path of a checkpoint or savepoint → the count in it
        self.unwritable = "file:/proc/"  # what savepoints cannot be written below
        self.asked = []  # (savepoint | checkpoint, job id, trigger id) of every one that was begun
        self.disposed = []  # paths of savepoints
        self.results = set()  # ids of jobs of applications that have ended, as the job result store keeps them
        self.wrong = []  # what no JobManager may see

    def count(self, kind):
        return sum(k == kind for _, k in list(self.requests))


# before: the request is lost; after: the answer is; reset: half of it; hang: never carried out nor answered; late: only the
# latter; 500: Flink's own.
FAULTS = ("before", "after", "reset", "500", "hang", "late")


class Run:
    """A job while one JobManager runs it: what it began with, and what it has left."""

    def __init__(self, job_id, jobmanager, path, count):
        self.id, self.jobmanager, self.path, self.base = job_id, jobmanager, path, count
        self.began, self.ended = time.time(), None
        self.runs_since, self.count = None, count  # as of the time before it began to run for the last time
        self.state = "RUNNING"
        self.snapshots = []  # every one that is complete, in order
        self.attempt = None  # the one that may be written when its JobManager dies

    def now(self):
        """The count."""
        return self.count + (int((time.time() - self.runs_since) * 100) if self.runs_since else 0)

    def pause(self):
        self.count, self.runs_since = self.now(), None


class Snapshot:
    def __init__(self, number, path, count, savepoint=False):
        self.id, self.path, self.count, self.savepoint = number, path, count, savepoint
        self.at, self.discarded = JobManager.now(), False


class JobManager:
    """One process of Flink: what it knows ends with it."""

    def __init__(self, cluster, uid):
        self.cluster, self.uid, self.version = cluster, uid, cluster.version
        self.lock = threading.RLock()
        self.jobs, self.tms = {}, {}
        self.jars = {"usrlib_bed-jobs.jar": self.now()}  # id → when it came
        self.triggers, self.disposals, self.cache = {}, {}, {}
        self.started, self.stopped = self.now(), False
        self.application = None  # of an application cluster: an Application

    @staticmethod
    def now():
        return int(time.time() * 1000)

    def recorded(self, name, **changes):
        """A recorded reply with some strings replaced."""
        status, text = recorded(self.version, name)
        for old, new in changes.items():
            text = text.replace(old, new)
        return Reply(status, json.loads(text))

    def shaped(self, name):
        """The JSON of a recorded reply, to fill in."""
        return copy.deepcopy(json.loads(recorded(self.version, name)[1]))

    # ---- TaskManagers and slots ----

    def register(self, name):
        with self.lock:
            self.tms[name] = self.cluster.slots

    def unregister(self, name):
        with self.lock:
            self.tms.pop(name, None)
            for job in self.jobs.values():
                if name in job["slots"]:
                    job["slots"] = {}
                    job["run"].pause()

    def free(self, name):
        return self.tms[name] - sum(j["slots"].get(name, 0) for j in self.jobs.values())

    def schedule(self):
        for job in self.jobs.values():
            if job["state"] != "RUNNING" or job["slots"] or sum(map(self.free, self.tms)) < job["parallelism"]:
                continue
            for name in self.tms:
                take = min(self.free(name), job["parallelism"] - sum(job["slots"].values()))
                if take:
                    job["slots"][name] = take
            job["run"].runs_since = time.time()
            job["due"] = time.time() + FIRST_S

    # ---- jobs ----

    def run(self, job_id, name, parallelism, path=None, retained=True):
        run = Run(job_id, self.uid, path, self.cluster.states[path] if path else 0)
        self.jobs[job_id] = {"id": job_id, "name": name, "parallelism": parallelism, "state": "RUNNING", "slots": {},
                             "start": self.now(), "end": -1, "run": run, "retained": retained, "cancelled": None, "due": 0.0,
                             "writing": False}
        self.cluster.runs.append(run)
        self.cluster.accepted.append((time.time(), self.uid, job_id))

    def end(self, job_id, state):
        with self.lock:
            job = self.jobs[job_id]
            job["run"].pause()
            job["run"].ended, job["run"].state = time.time(), state
            if state == "FINISHED" or not job["retained"]:
                for s in job["run"].snapshots:
                    s.discarded |= not s.savepoint
            job.update(state=state, slots={}, end=self.now())
        if self.application:
            self.application.ended(job_id)

    def stop(self):
        """The process ends, and what runs in it."""
        with self.lock:
            self.stopped = True
            for job in self.jobs.values():
                if not job["run"].ended:
                    job["run"].pause()
                    job["run"].ended, job["run"].state = time.time(), "KILLED"

    def throw(self, job_id):
        """An exception throws the job back."""
        with self.lock:
            job = self.jobs[job_id]
            job["run"].pause()
            job.update(state="RESTARTING", slots={}, thrown=self.now())

    def exceptions(self, job):
        if not job.get("thrown"):
            return self.recorded("failed-exceptions" if job["state"] == "FAILED" else "running-exceptions")
        reply = json.loads(recorded(self.version, "failed-exceptions")[1])
        reply["exceptionHistory"]["entries"][0]["timestamp"] = job["thrown"]
        return Reply(200, reply)

    def tick(self):
        """What goes on by itself."""
        with self.lock:
            self.schedule()
            for job in [j for j in self.jobs.values() if j["state"] not in ENDED]:
                if job["state"] == "RESTARTING" and self.now() - job.get("thrown", self.now()) >= RESTART_MS:
                    job.update(state="RUNNING", attempt=job.get("attempt", 0) + 1)
                elif job["cancelled"] and time.time() - job["cancelled"] >= CANCEL_S:
                    self.end(job["id"], "CANCELED")
                elif job["run"].runs_since and not job["cancelled"] and not job["writing"] and time.time() >= job["due"]:
                    job["due"] = time.time() + CHECKPOINT_S
                    self.checkpoint(job)
            for trigger in self.triggers.values():
                if not trigger["done"] and time.time() - trigger["at"] >= SAVEPOINT_S:
                    self.save(trigger)

    # ---- state ----

    def snapshot(self, job, path, savepoint):
        run = job["run"]
        number = sum(len(r.snapshots) for r in self.cluster.runs if r.id == run.id) + 1
        made = Snapshot(number, path.format(id=job["id"], n=number), run.now(), savepoint)
        run.attempt = made
        self.cluster.states[made.path] = made.count
        return made

    def checkpoint(self, job):
        """One at a time, however long it takes to keep it."""
        made = self.snapshot(job, "file:/flink/checkpoints/{id}/chk-{n}", False)
        if self.application:
            self.application.keep(job, made)
        else:
            self.completed(job, made)

    def completed(self, job, made):
        with self.lock:
            if job["state"] not in ENDED and not self.stopped:
                job["run"].snapshots.append(made)

    def save(self, trigger):
        """A savepoint or checkpoint that was asked for; the job may be to end with it: it does, if it runs."""
        job, folder = trigger["job"], trigger["directory"].rstrip("/")
        trigger["done"] = True
        if not job["run"].runs_since or job["cancelled"] or folder.startswith(self.cluster.unwritable):
            return
        savepoint = trigger["what"] != "checkpoint"
        made = self.snapshot(job, folder + ("/savepoint-{id:.6}-{n}" if savepoint else "/{id}/chk-{n}"), savepoint)
        job["run"].snapshots.append(made)
        trigger["path"], trigger["number"] = made.path, made.id
        if trigger["what"] == "stop":
            self.end(job["id"], "FINISHED")

    def told(self, shape, snapshot):
        entry = {**shape, "id": snapshot.id, "trigger_timestamp": snapshot.at, "latest_ack_timestamp": snapshot.at,
                 "external_path": snapshot.path, "discarded": snapshot.discarded}
        entry["is_savepoint"] = snapshot.savepoint
        return entry

    def checkpoints(self, job):
        """Flink's answer, from its cache."""
        when, reply = self.cache.get(job["id"], (0.0, None))
        if time.time() - when < CACHE_S:
            return reply
        run, reply = job["run"], self.shaped("running-checkpoints")
        latest = reply["latest"]
        for key, savepoint in (("completed", False), ("savepoint", True)):
            last = [s for s in run.snapshots if s.savepoint == savepoint][-1:]
            latest[key] = self.told(latest[key], last[0]) if last else None
        latest["failed"] = None
        if run.path:
            latest["restored"] = {"id": 1, "restore_timestamp": int(run.began * 1000), "is_savepoint": "savepoint" in run.path,
                                  "external_path": run.path}
        done = len(run.snapshots)
        reply["counts"].update(restored=int(bool(run.path)), total=done, in_progress=0, completed=done, failed=0)
        reply["history"] = []
        self.cache[job["id"]] = (time.time(), Reply(200, reply))
        return self.cache[job["id"]][1]

    def trigger(self, what, job, request):
        """Asked twice for one id, Flink takes one."""
        asked = json.loads(request.body)
        directory = asked.get("targetDirectory") or asked.get("target-directory") or self.cluster.savepoints
        if what == "checkpoint":
            directory = "file:/flink/checkpoints"
        if not directory:
            return self.recorded("savepoint.400")
        key = job["id"], asked["triggerId"]
        if key not in self.triggers:
            self.cluster.asked.append((what, *key))
            self.triggers[key] = {"what": what, "job": job, "directory": directory, "at": time.time(), "done": False,
                                  "path": None}
        return Reply(202, {"request-id": asked["triggerId"]})

    def operation(self, job, trigger):
        found = self.triggers.get((job["id"], trigger))
        if not found:
            return self.recorded("savepoint-unknown.404", **{"3" * 32: trigger})
        if not found["done"]:
            return Reply(200, {"status": {"id": "IN_PROGRESS"}, "operation": None})
        if not found["path"]:
            return Reply(200, self.shaped("savepoint-failed"))
        if found["what"] == "checkpoint":
            return Reply(200, {**self.shaped("checkpoint-done"), "operation": {"checkpointId": found["number"]}})
        return Reply(200, {**self.shaped("stop-done"), "operation": {"location": found["path"]}})

    def checkpoint_details(self, job, number):
        found = [s for s in job["run"].snapshots if s.id == int(number)]
        return Reply(200, self.told(self.shaped("checkpoint-details"), found[0])) if found else \
            self.recorded("checkpoint-details-unknown.404")

    def dispose(self, request):
        path, trigger = json.loads(request.body)["savepoint-path"], os.urandom(16).hex()
        self.disposals[trigger] = self.cluster.states.pop(path, None) is not None
        if self.disposals[trigger]:
            self.cluster.disposed.append(path)
        return Reply(202, {"request-id": trigger})

    def disposal(self, trigger):
        if trigger not in self.disposals:
            return self.recorded("disposal-unknown.404")
        return self.recorded("disposal-done" if self.disposals[trigger] else "disposal-again-failed")

    def metrics(self, job):
        restarts = job.get("attempt", 0)
        values = {"numberOfCompletedCheckpoints": len(job["run"].snapshots), "numRestarts": restarts, "fullRestarts": restarts}
        return Reply(200, [{**metric, "value": str(values[metric["id"]])} for metric in self.shaped("running-metrics")])

    def tasks(self, job):
        state = TASKS.get(job["state"], "scheduled")
        return "scheduled" if state == "running" and not job["slots"] else state

    def modified(self, job):
        """When its state, or that of its tasks, has changed last."""
        now = (job["state"], self.tasks(job), job.get("attempt"))
        if job.get("known") != now:
            job["known"], job["modified"] = now, self.now()
        return job["modified"]

    def job_entry(self, job):
        entry = self.shaped("running-jobs")["jobs"][0]
        entry.update({"jid": job["id"], "name": job["name"], "start-time": job["start"], "end-time": job["end"],
                      "duration": self.now() - job["start"], "state": job["state"], "last-modification": self.modified(job)})
        entry["tasks"] = {k: 0 for k in entry["tasks"]}
        entry["tasks"].update({"total": job["parallelism"], self.tasks(job): job["parallelism"]})
        return entry

    def job_detail(self, job):
        detail = self.shaped("running-job")
        vertex, word = detail["vertices"][0], self.tasks(job).upper()
        detail.update({"jid": job["id"], "name": job["name"], "state": job["state"], "start-time": job["start"],
                       "end-time": job["end"], "duration": self.now() - job["start"], "now": self.now()})
        vertex.update({"parallelism": job["parallelism"], "status": "CREATED" if word == "SCHEDULED" else word})
        vertex["tasks"] = {k: job["parallelism"] if k == word else 0 for k in vertex["tasks"]}
        detail["vertices"] = [vertex]
        if "status-counts" in detail:
            detail["status-counts"] = {k: int(k == vertex["status"]) for k in detail["status-counts"]}
        for node in detail.get("plan", {}).get("nodes", [])[1:]:
            detail["plan"]["nodes"].remove(node)
        return detail

    def taskmanager(self, name):
        entry = self.shaped("running-taskmanagers")["taskmanagers"][0]
        entry.update({"id": name, "slotsNumber": self.tms[name], "freeSlots": self.free(name)})
        return entry

    def overview(self):
        states = [j["state"] for j in self.jobs.values()]
        reply = self.shaped("empty-overview")
        reply.update({"taskmanagers": len(self.tms), "slots-total": sum(self.tms.values()),
                      "slots-available": sum(map(self.free, self.tms)), "jobs-running": states.count("RUNNING"),
                      "jobs-finished": states.count("FINISHED"), "jobs-cancelled": states.count("CANCELED"),
                      "jobs-failed": states.count("FAILED")})
        return Reply(200, reply)

    # ---- answers ----

    async def answer(self, request):
        kind = request.kind()
        if kind == "POST /jars/*/run":
            return await self.run_jar(request)
        with self.lock:
            self.schedule()
            return self.read(kind, request)

    def read(self, kind, request):
        found = re.search(r"[0-9a-f]{32}", request.path)
        job = found and self.jobs.get(found[0])
        if kind == "GET /overview":
            return self.overview()
        if kind == "GET /config":
            return self.recorded("config")
        if kind == "GET /jobs/overview":
            return Reply(200, {"jobs": [self.job_entry(j) for j in self.jobs.values()]})
        if kind == "GET /taskmanagers":
            return Reply(200, {"taskmanagers": [self.taskmanager(name) for name in self.tms]})
        if kind == "POST /jars/upload":
            return self.upload(request)
        if kind == "DELETE /jars/*":
            self.jars.pop(urllib.parse.unquote(request.path.rsplit("/", 1)[1]), None)
            return self.recorded("delete-jar")
        if kind == "GET /jars":
            return Reply(200, {"address": "http://jobmanager", "files": [
                {"id": jar, "name": jar.split("_", 1)[1], "uploaded": at, "entry": []}
                for jar, at in sorted(self.jars.items(), key=lambda item: -item[1])]})
        if kind == "POST /savepoint-disposal":
            return self.dispose(request)
        if kind == "GET /savepoint-disposal/*":
            return self.disposal(found[0])
        if found and kind == "PATCH /jobs/*":
            return self.cancel(job)
        if found and not job:
            return self.recorded("unknown-job.404", **{"f" * 32: found[0]})
        if kind == "GET /jobs/*":
            return Reply(200, self.job_detail(job))
        if kind == "GET /jobs/*/checkpoints":
            return self.checkpoints(job)
        if kind in TRIGGERS:
            return self.trigger(TRIGGERS[kind], job, request)
        if kind in ("GET /jobs/*/savepoints/*", "GET /jobs/*/checkpoints/*"):
            return self.operation(job, request.path.rsplit("/", 1)[1])
        if kind.startswith("GET /jobs/*/checkpoints/details/"):
            return self.checkpoint_details(job, request.path.rsplit("/", 1)[1])
        if kind == "GET /jobs/*/metrics":
            return self.metrics(job)
        if kind == "GET /jobs/*/exceptions":
            return self.exceptions(job)
        if kind == "GET /jobs/*/resource-requirements":
            return self.recorded("requirements-default.500")
        return self.recorded("unknown-path.404")

    def cancel(self, job):
        if not job:
            return self.recorded("cancel-unknown.404")
        if job["state"] not in ENDED:
            job["run"].pause()
            job.update(state="CANCELLING", cancelled=job["cancelled"] or time.time())
        return Reply(202, self.shaped("cancel"))

    def upload(self, request):
        if b'filename="' not in request.body:
            return self.recorded("upload-empty.400")
        reply = self.shaped("upload")
        file = re.search(rb'filename="([^"]*)"', request.body)[1].decode()
        name = f"{len(self.cluster.uploads):08x}-560a-4eb3-92aa-600e2ad2b604_{file}"
        reply["filename"] = os.path.join(os.path.dirname(reply["filename"]), name)
        self.jars[name] = self.now()
        self.cluster.uploads.append(request.size)
        return Reply(200, reply)

    async def run_jar(self, request):
        jar = urllib.parse.unquote(request.path.split("/")[2])
        try:
            body = json.loads(request.body)
        except ValueError:
            return self.recorded("run-bad-json.400")
        if jar not in self.jars:
            return self.recorded("run-missing-jar.500")
        if self.cluster.run_seconds:
            await asyncio.sleep(self.cluster.run_seconds)
        args = body.get("programArgsList") or []
        name = args[args.index("--name") + 1] if "--name" in args else "job"
        path, conf = body.get("savepointPath"), body.get("flinkConfiguration") or {}
        with self.lock:
            if body["jobId"] in self.jobs:
                return self.recorded("run-duplicate.400")
            if path and path not in self.cluster.states:
                return self.recorded("run-bad-savepoint.400")
            self.run(body["jobId"], name, body.get("parallelism", 1), path, conf.get(RETENTION) == "RETAIN_ON_CANCELLATION")
        return Reply(200, {"jobid": body["jobId"]})


class Flinks:
    """All of them, served by one thread."""

    def __init__(self, netns):
        self.clusters, self.at, self.pods = {}, {}, {}
        self.next_ip = 0
        self.loop = asyncio.new_event_loop()
        self.ipv6 = False  # of pods that begin from now on
        self.sockets = [netns.listen("0.0.0.0", PORT), netns.listen("::", PORT)]
        self.netns = netns
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        asyncio.set_event_loop(self.loop)
        for s in self.sockets:
            self.loop.run_until_complete(asyncio.start_server(self.connection, sock=s, limit=1 << 20))
        self.loop.call_soon(self.tick)
        self.loop.run_forever()

    def tick(self):
        for jm in list(self.at.values()):
            jm.tick()
        self.loop.call_later(TICK_S, self.tick)

    def close(self):
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(5)

    def cluster(self, key, **options):
        """"namespace/name"; made when first asked for."""
        if key not in self.clusters or options:
            self.clusters[key] = Cluster(key, **options)
        return self.clusters[key]

    # ---- for the kubelet ----

    def start(self, key, uid):
        """A JobManager's process begins: it, and its pod's address."""
        self.next_ip += 1
        ip = f"fd00:250::{self.next_ip:x}" if self.ipv6 else f"10.250.{self.next_ip >> 8}.{self.next_ip & 255}"
        cluster = self.cluster(key)
        jm = JobManager(cluster, uid)
        self.at[ip] = cluster.jobmanager = jm
        self.pods[uid] = ip
        return jm, ip

    def stop(self, uid):
        """It ends: nothing answers there any more."""
        jm = self.at.pop(self.pods.pop(uid, None), None)
        if jm:
            jm.stop()
        if jm and jm.cluster.jobmanager is jm:
            jm.cluster.jobmanager = None

    # ---- connections ----

    async def connection(self, reader, writer):
        try:
            await self.talk(reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError):
            writer.transport.abort()

    async def talk(self, reader, writer):
        ip = writer.get_extra_info("sockname")[0]
        while True:
            jm = self.at.get(ip)
            if not jm or not jm.cluster.starts:
                writer.transport.abort()
                return
            request = await self.read_request(jm.cluster, reader)
            if not request:
                writer.close()
                return
            jm.cluster.requests.append((time.time(), request.kind()))
            hook = jm.cluster.hook
            reply = hook(request) if hook else None
            if callable(reply):
                await reply(reader, writer)
                writer.close()
                return
            if reply == "before":
                writer.transport.abort()
                return
            if reply == "hang":
                await asyncio.sleep(3600)
            if reply == "500":
                reply = jm.recorded("run-missing-class.500")
            fault, reply = (reply, None) if isinstance(reply, str) else (None, reply)
            reply = reply or await jm.answer(request)
            if fault == "late":
                await asyncio.sleep(3600)
            if fault == "after" or self.at.get(ip) is not jm:
                writer.transport.abort()
                return
            text = reply.head() + reply.body
            writer.write(text[:-len(reply.body) // 2] if fault == "reset" else text)
            await writer.drain()
            if fault == "reset":
                writer.transport.abort()
                return

    async def read_request(self, cluster, reader):
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        except asyncio.IncompleteReadError:
            return None
        first, *lines = head.rstrip().split("\r\n")
        method, target, _ = first.split(" ")
        headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in lines)}
        request = Request(cluster, method, target, headers)
        if headers.get("transfer-encoding") == "chunked":
            while size := int(await reader.readline(), 16):
                await self.read_body(request, reader, size)
                await reader.readline()
            await reader.readline()
        else:
            await self.read_body(request, reader, int(headers.get("content-length", 0)))
        return request

    @staticmethod
    async def read_body(request, reader, size):
        """Counts all of it, keeps the beginning."""
        while size:
            piece = await reader.read(min(size, 1 << 16))
            if not piece:
                raise asyncio.IncompleteReadError(b"", size)
            size -= len(piece)
            request.size += len(piece)
            request.body += piece[:max(0, (1 << 20) - len(request.body))]
            if request.path == "/jars/upload" and request.cluster.upload_pause:
                await asyncio.sleep(request.cluster.upload_pause)
