"""JobManagers that are not there: REST servers at the addresses of pods whose kubelet is played by fake_kubelet.py.

What they say is what the real one said to tests/golden/flink/replies/record, with the ids, names, states and numbers of
the case put in; so its shape is that of each version. A test can put its own answer, or a fault, in the place of any of
them: Cluster.hook.
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
ENDED = ("FINISHED", "CANCELED", "FAILED")
TASKS = {"RUNNING": "running", "CANCELED": "canceled", "FINISHED": "finished", "FAILED": "failed"}


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
        self.starts = True  # whether a JobManager answers at all
        # hook(request): None for the normal answer, a Reply, a word of FAULTS, or a coroutine function (reader, writer)
        self.hook = None
        self.jobmanager = None
        self.requests = []  # (time, kind) of every request
        self.accepted = []  # (time, pod uid, job id) of every job that Flink began to run
        self.uploads = []  # bytes of every upload that was whole

    def count(self, kind):
        return sum(k == kind for _, k in list(self.requests))


# before: the request is lost; after: the answer is.
FAULTS = ("before", "after", "500", "hang")


class JobManager:
    """One process of Flink: what it knows ends with it."""

    def __init__(self, cluster, uid):
        self.cluster, self.uid, self.version = cluster, uid, cluster.version
        self.lock = threading.RLock()
        self.jobs, self.tms, self.jars = {}, {}, {"usrlib_bed-jobs.jar"}
        self.started = self.now()

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

    # ---- jobs ----

    def run(self, job_id, name, parallelism):
        self.jobs[job_id] = {"id": job_id, "name": name, "parallelism": parallelism, "state": "RUNNING", "slots": {},
                             "start": self.now(), "end": -1}
        self.cluster.accepted.append((time.time(), self.uid, job_id))

    def end(self, job_id, state):
        with self.lock:
            self.jobs[job_id].update(state=state, slots={}, end=self.now())

    def tasks(self, job):
        state = TASKS.get(job["state"], "scheduled")
        return "scheduled" if state == "running" and not job["slots"] else state

    def job_entry(self, job):
        entry = self.shaped("running-jobs")["jobs"][0]
        entry.update({"jid": job["id"], "name": job["name"], "start-time": job["start"], "end-time": job["end"],
                      "duration": self.now() - job["start"], "state": job["state"], "last-modification": self.now()})
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
            self.jars.discard(urllib.parse.unquote(request.path.rsplit("/", 1)[1]))
            return self.recorded("delete-jar")
        if found and kind == "PATCH /jobs/*":
            return self.cancel(job)
        if found and not job:
            return self.recorded("unknown-job.404", **{"f" * 32: found[0]})
        if kind == "GET /jobs/*":
            return Reply(200, self.job_detail(job))
        if kind == "GET /jobs/*/exceptions":
            return self.recorded("failed-exceptions" if job["state"] == "FAILED" else "running-exceptions")
        if kind == "GET /jobs/*/resource-requirements":
            return self.recorded("requirements-default.500")
        return self.recorded("unknown-path.404")

    def cancel(self, job):
        if not job:
            return self.recorded("cancel-unknown.404")
        if job["state"] not in ENDED:
            self.end(job["id"], "CANCELED")
        return Reply(202, self.shaped("cancel"))

    def upload(self, request):
        if b"filename=" not in request.body:
            return self.recorded("upload-empty.400")
        reply = self.shaped("upload")
        name = f"{len(self.cluster.uploads):08x}-560a-4eb3-92aa-600e2ad2b604_job.jar"
        reply["filename"] = os.path.join(os.path.dirname(reply["filename"]), name)
        self.jars.add(name)
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
        with self.lock:
            if body["jobId"] in self.jobs:
                return self.recorded("run-duplicate.400")
            self.run(body["jobId"], name, body.get("parallelism", 1))
        return Reply(200, {"jobid": body["jobId"]})


class Flinks:
    """All of them, served by one thread."""

    def __init__(self, netns):
        self.clusters, self.at, self.pods = {}, {}, {}
        self.next_ip = 0
        self.loop = asyncio.new_event_loop()
        self.sockets = [netns.listen("0.0.0.0", PORT)]
        self.netns = netns
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        asyncio.set_event_loop(self.loop)
        for s in self.sockets:
            self.loop.run_until_complete(asyncio.start_server(self.connection, sock=s, limit=1 << 20))
        self.loop.run_forever()

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
        """A JobManager's process begins: its pod's address."""
        self.next_ip += 1
        ip = f"10.250.{self.next_ip >> 8}.{self.next_ip & 255}"
        cluster = self.cluster(key)
        self.at[ip] = cluster.jobmanager = JobManager(cluster, uid)
        self.pods[uid] = ip
        return ip

    def stop(self, uid):
        """It ends: nothing answers there any more."""
        jm = self.at.pop(self.pods.pop(uid, None), None)
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
            if fault == "after" or self.at.get(ip) is not jm:
                writer.transport.abort()
                return
            writer.write(reply.head() + reply.body)
            await writer.drain()

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
