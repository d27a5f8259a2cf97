"""JARs from a web server."""
import time

from lib.check import check, equal, wait
from lib.manifests import cluster, job
from lib.suite import test
from matrix import each_series
from scene import delete_jobs, is_ready, job_id, job_running, jobmanager, session
from web import BIG, Web

MB = 1 << 20


def brought(flink):
    """Ids of the JARs in the JobManager that its image does not have."""
    return {f["id"] for f in flink.get("/jars")["files"] if not f["id"].startswith(("usrlib_", "examples_"))}


@test("a JAR from a web server is brought to Flink once; one that cannot be told from another is not kept there")
def http(run):
    flink = session(run, cluster(run.ns))
    web = Web(run)
    web.job_jar(run, jobmanager(run)["metadata"]["name"])
    run.kube.apply(job(run.ns, "first", jar=web.url("job.jar")))
    job_running(run, flink, "first")
    equal(sum("GET /job.jar" in line for line in web.requests()), 1, "downloads")
    first = brought(flink)
    equal(len(first), 1, "JARs in Flink")
    run.kube.apply(job(run.ns, "second", jar=web.url("job.jar")))
    job_running(run, flink, "second")
    equal(brought(flink), first, "JARs in Flink after another job of the same")
    run.kube.apply(job(run.ns, "plain", jar=web.url("job.jar?plain")))
    job_running(run, flink, "plain")
    wait("the uploaded JAR is deleted", lambda: brought(flink) == first, 20)


@each_series("fifty jobs of one JAR on one cluster: it is brought there once", full=True, timeout=900)
def fifty(run, series):
    flink = session(run, cluster(run.ns, version=series, slots=25))
    web = Web(run)
    web.job_jar(run, jobmanager(run)["metadata"]["name"])
    began = time.monotonic()
    names = [f"j{i}" for i in range(50)]
    run.kube.apply(*[job(run.ns, name, jar=web.url("job.jar"), args=["--rate", "10"]) for name in names])
    for name in names:
        job_running(run, flink, name)
    run.note(f"all RUNNING after {time.monotonic() - began:.1f} s")
    equal(len({j["jid"] for j in flink.jobs()}), 50, "jobs in Flink")
    equal(len(brought(flink)), 1, "JARs in Flink")


@test("60 MB stream through the operator: its memory stays, it answers meanwhile")
def streams(run):
    flink = session(run, cluster(run.ns))
    web = Web(run)
    web.job_jar(run, jobmanager(run)["metadata"]["name"])
    run.operator.metrics()
    before = run.operator.rss()
    run.kube.apply(job(run.ns, "big", jar=web.url("big.jar") + "?rate=12000000"))
    wait("the download begins", lambda: [line for line in web.requests() if "GET /big.jar" in line], 30)
    most, slowest, samples = before, 0, 0
    began = time.monotonic()
    while time.monotonic() - began < 60:
        asked = time.monotonic()
        most = max(most, run.operator.rss())
        slowest, samples = max(slowest, time.monotonic() - asked), samples + 1
        found = job_id(run, "big")
        if found and flink.job(found):
            break
        time.sleep(0.1)
    check(samples >= 10, f"only {samples} looks at the operator while {BIG // MB} MB went through")
    check(most - before < 4 * MB, f"resident memory grew from {before / MB:.1f} to {most / MB:.1f} MB")
    job_running(run, flink, "big")
    run.note(f"{before / MB:.1f} → {most / MB:.1f} MB; slowest of {samples} scrapes {slowest * 1000:.0f} ms")


@test("deleting a job whose JAR is still on its way ends at once and leaves nothing in Flink")
def interrupted(run):
    flink = session(run, cluster(run.ns))
    web = Web(run)
    web.job_jar(run, jobmanager(run)["metadata"]["name"])
    run.kube.apply(job(run.ns, "slow", jar=web.url("big.jar") + "?rate=1000000"))
    wait("the download begins", lambda: [line for line in web.requests() if "GET /big.jar" in line], 30)
    began = time.monotonic()
    delete_jobs(run, "slow", seconds=8)  # less than kubernetes.operator.flink.client.cancel.timeout
    run.note(f"gone after {time.monotonic() - began:.1f} s")
    wait("the download ends", lambda: [line for line in web.requests() if "broken off" in line], 30)
    time.sleep(2)
    equal(flink.jobs(), [], "jobs in Flink")
    run.kube.apply(job(run.ns, "next", jar=web.url("job.jar")))
    wait("the next job is not held up", lambda: is_ready(run.kube.get("sessionjob", run.ns, "next")), 60)
