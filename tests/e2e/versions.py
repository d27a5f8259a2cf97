"""Each Flink series: a session cluster, a job from no TaskManager, and back to none."""
from lib.check import check, equal, wait
from lib.manifests import cluster, job
from lib.suite import test
from scene import delete_jobs, job_running, jobmanager, no_taskmanagers, session, taskmanagers


def smoke(run, version, file):
    flink = session(run, cluster(run.ns, version=version, slots=2))
    check(flink.overview()["flink-version"].startswith(version), f"Flink says {flink.overview()}")
    check(file in run.kube.get("configmap", run.ns, "flink-config-demo")["data"], f"the ConfigMap has no {file}")
    equal(taskmanagers(run), [], "TaskManagers")
    run.kube.apply(job(run.ns, "first", parallelism=3))
    found = job_running(run, flink, "first")
    equal(len(taskmanagers(run)), 2, "TaskManagers for three slots, two each")
    wait("a log file for the UI", lambda: flink.request("GET", "/jobmanager/log"), 10)
    delete_jobs(run, "first")
    equal(flink.job(found)["state"], "CANCELED", "the job")
    no_taskmanagers(run)
    check(jobmanager(run)["status"]["containerStatuses"][0]["restartCount"] == 0, "the JobManager restarted")


@test("Flink 1.18")
def v1_18(run):
    smoke(run, "1.18", "flink-conf.yaml")


@test("Flink 2.2")
def v2_2(run):
    smoke(run, "2.2", "config.yaml")
