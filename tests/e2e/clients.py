"""Jobs that the operator has not submitted, and Flink's own command line in the JobManager pod."""
import http.client
import os
import re
import time

from lib.check import check, equal, wait
from lib.kube import UnixConnection
from lib.manifests import cluster, hold
from lib.suite import test
from scene import UP, jobmanager, no_taskmanagers, session, taskmanagers
from world import need_bed


def runs(flink, job):
    """All tasks RUNNING and records flowing."""
    wait(f"job {job} RUNNING", lambda: flink.running(job), UP)
    wait(f"records of {job}", lambda: flink.flowing(job), 60)


@test("`flink run` in the JobManager pod gets TaskManagers; `flink list`, `savepoint` and `cancel` work")
def command_line(run):
    bed = need_bed(run)
    flink = session(run, cluster(run.ns, podTemplate=hold()))
    pod = jobmanager(run)["metadata"]["name"]
    started = run.kube.exec(run.ns, pod, "flink", "run", "-d", "-p", "2", "/opt/flink/usrlib/bed-jobs.jar",
                            "--name", "by-hand")
    job = re.search(r"JobID ([0-9a-f]{32})", started)
    check(job, f"flink run said: {started}")
    runs(flink, job[1])
    equal(len(taskmanagers(run)), 2, "TaskManagers for two slots")
    listed = run.kube.exec(run.ns, pod, "flink", "list")
    check(job[1] in listed and "RUNNING" in listed, f"flink list said: {listed}")
    folder = f"/flink-data/{run.ns}"
    saved = run.kube.exec(run.ns, pod, "flink", "savepoint", job[1], f"file://{folder}")
    path = re.search(r"Path: file:(\S+)", saved)
    check(path, f"flink savepoint said: {saved}")
    check("_metadata" in os.listdir(bed.state + path[1]), "the savepoint is not there")
    run.kube.exec(run.ns, pod, "flink", "cancel", job[1])
    wait("CANCELED", lambda: flink.job(job[1])["state"] == "CANCELED", 30)
    no_taskmanagers(run)


def upload(kube, path, name, data):
    """A form with a file in it, as browsers send it."""
    edge = "flink-operator-e2e"
    body = (f"--{edge}\r\nContent-Disposition: form-data; name=\"jarfile\"; filename=\"{name}\"\r\n"
            "Content-Type: application/x-java-archive\r\n\r\n").encode() + data + f"\r\n--{edge}--\r\n".encode()
    connection = UnixConnection(kube.socket, 60)
    connection.request("POST", "/" + path, body, {"Content-Type": f"multipart/form-data; boundary={edge}"})
    answer = connection.getresponse()
    text = answer.read().decode()
    check(answer.status == http.client.OK, f"upload: HTTP {answer.status} {text}")
    return re.search(r'"filename":"[^"]*/([^"/]+)"', text)[1]


@test("a JAR uploaded and run as Flink's UI does gets TaskManagers, and they go with the job")
def web_ui(run):
    flink = session(run, cluster(run.ns))
    pod = jobmanager(run)["metadata"]["name"]
    data = bytes.fromhex(run.kube.exec(
        run.ns, pod, "sh", "-c", "od -An -v -tx1 /opt/flink/usrlib/bed-jobs.jar | tr -d ' \\n'"))
    jar = upload(run.kube, flink.base + "/jars/upload", "mine.jar", data)
    listed = {f["id"] for f in flink.get("/jars")["files"]}
    check(jar in listed and "usrlib_bed-jobs.jar" in listed, f"/jars: {listed}")
    began = time.monotonic()
    job = flink.post(f"/jars/{jar}/run", {"entryClass": "BedJob", "programArgsList": ["--slot-groups", "2,1"]})["jobid"]
    runs(flink, job)
    run.note(f"RUNNING after {time.monotonic() - began:.1f} s")
    equal(len(taskmanagers(run)), 3, "TaskManagers for slot sharing groups of 2 and 1")
    flink.cancel(job)
    no_taskmanagers(run)
