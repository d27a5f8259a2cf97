"""A JobManager that lies, floods or dawdles harms nobody but itself."""
import asyncio
import time

from lib.check import SCALE, check, dig, equal, wait
from lib.fake_flink import Reply
from lib.plane import Sampler
from lib.plane_scene import cluster_ready, job_ready, operator, session, submit
from lib.suite import test

MB_MORE = 48  # of resident memory: the cap of one answer, a few times


async def endless(_reader, writer):
    """An answer without end, as fast as it is taken."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n")
    piece = b"10000\r\n" + b'{"jobs":[' + b" " * 65527 + b"\r\n"
    end = time.monotonic() + 60
    while time.monotonic() < end:
        writer.write(piece)
        await writer.drain()


async def endless_head(_reader, writer):
    writer.write(b"HTTP/1.1 200 OK\r\n")
    end = time.monotonic() + 60
    while time.monotonic() < end:
        writer.write(b"X-More: " + b"x" * 8000 + b"\r\n")
        await writer.drain()


async def drip(_reader, writer):
    """A byte a second: it never ends, and never stands still."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    for _ in range(60):
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(1)


async def hangs(_reader, _writer):
    await asyncio.sleep(60)


LIES = {
    "endless": endless,
    "endless header": endless_head,
    "a byte a second": drip,
    "silent": hangs,
    "64 MiB": Reply(200, b'{"jobs":[' + b" " * (64 << 20) + b"]}"),
    "deep": Reply(200, b'{"jobs":' + b"[" * 500000 + b"]" * 500000 + b"}"),
    "100,000 jobs": Reply(200, b'{"jobs":[' + b",".join(
        b'{"jid":"%032x","name":"j","state":"RUNNING","start-time":1,"end-time":-1,"duration":1,"last-modification":1,'
        b'"tasks":{"running":1,"total":1}}' % i for i in range(100000)) + b"]}"),
    "wrong ids": Reply(200, {"jobs": [{"jid": jid, "name": 7, "state": "RUNNING", "tasks": "all"}
                                      for jid in ("../../etc", "", "x" * 100000, "f" * 33, None, 1e400, {})]}),
    "wrong numbers": Reply(200, {"taskmanagers": -5, "slots-total": 1e300, "slots-available": "many", "jobs": [None, 1, "x"],
                                 "flink-version": ["1.20"]}),
    "redirect to itself": Reply(302, b"", {"Location": "/jobs/overview"}),
    "not HTTP": b"SSH-2.0-OpenSSH_9.2\r\n",
}


def hook_of(lie):
    if isinstance(lie, bytes):
        async def raw(_reader, writer):
            writer.write(lie)
            await writer.drain()
        return lambda request: raw
    return lambda request: lie


@test("eleven kinds of lies to every question: memory stays capped, other clusters' jobs go on, the liar recovers", timeout=600)
def lies(run):
    op = operator(run, binary="build/flink-operator")
    honest = session(run, "honest")
    submit(run, "calm", deployment="honest")
    liars = {what: session(run, f"liar-{i}", ready=False) for i, what in enumerate(LIES)}
    for i in range(len(LIES)):
        cluster_ready(run, f"liar-{i}")
    before, _ = op.memory()
    health = Sampler(lambda: op.get("/healthz", 2)[0], 0.25)
    asked = {}
    for what, flink in liars.items():
        asked[what] = len(flink.requests)
        flink.hook = hook_of(LIES[what])
    began = time.monotonic()
    for n in range(6):  # new work beside them is done as ever
        submit(run, f"more-{n}", deployment="honest")
    beside = time.monotonic() - began
    time.sleep(max(0, 20 - beside))
    _, most = op.memory()
    values = health.stop()
    op.alive()
    equal([v for v in values if v != 200], [], "answers of /healthz other than 200")
    check(most - before < MB_MORE, f"resident memory rose from {before:.0f} MB to {most:.0f} MB")
    for what, flink in liars.items():
        check(len(flink.requests) > asked[what], f"{what}: was never asked")
        flink.hook = None
    for i, what in enumerate(LIES):
        wait(f"{what}: Ready again", lambda i=i: cluster_ready(run, f"liar-{i}", seconds=0), 90, 0.2)
        submit(run, f"late-{i}", deployment=f"liar-{i}", ready=False)
    for i in range(len(LIES)):
        job_ready(run, f"late-{i}", seconds=60)
    equal(len(honest.accepted), 7, "submissions to the honest one")
    op.stop()
    run.note(f"{before:.0f} MB before, at most {most:.0f} MB; six jobs beside them in {beside:.1f} s")


@test("main() takes long: four of a cluster's jobs are run at a time, it stays READY, jobs of others do not wait", full=True)
def slow_mains(run):
    op = operator(run)
    slow, honest = session(run, "slow"), session(run, "honest")
    slow.run_seconds = 7  # a probe would have given up by then
    for n in range(10):
        submit(run, f"slow-{n}", deployment="slow", ready=False)
    wait("four are under way", lambda: slow.count("POST /jars/*/run") >= 4, 30, 0.05)
    began = time.monotonic()
    submit(run, "quick", deployment="honest")
    beside = time.monotonic() - began
    check(beside < 5 * SCALE, f"a job of another cluster took {beside:.1f} s")

    seen = set()

    def all_accepted():
        seen.add(dig(run.kube.get("flinkdep", run.namespaces[0], "slow"), "status.jobManagerDeploymentStatus"))
        return len(slow.accepted) == 10
    wait("all are run", all_accepted, 90, 0.2)
    equal(seen, {"READY"}, "what the cluster of the slow ones was meanwhile")
    starts = sorted(t for t, kind in slow.requests if kind == "POST /jars/*/run")
    ends = sorted(t for t, _, _ in slow.accepted)
    most = max(i + 1 - sum(end <= at for end in ends) for i, at in enumerate(starts))
    equal((len(starts), most), (10, 4), "run requests, and the most at a time")
    equal(len(honest.accepted), 1, "submissions to the other one")
    op.alive()
