"""From a resource to a Flink that works: real kubelet, real Flink 1.20, the operator from its own image; and the same with
Flink's own Kubernetes allocation, in turn, on the same bed."""
import os
import statistics
import time

from lib.bed import ROOT, Bed
from lib.check import check, dig, wait
from lib.flink import Flink
from lib.kube import Kube
from lib.manifests import application, cluster, job
from lib.operator import Deployed, build_image, overlay
from native import ACCOUNT, Native

NS = "bench"
OURS = "ours"
UP = 120  # s for what takes 20 at most
# Jobs outlive any number of deaths, and no TaskManager waits for its start because others died before it. Without the short
# form "restart-strategy": in the nested file that Flink's client writes it would hide the number of attempts.
HARDY = {"restart-strategy.type": "fixed-delay", "restart-strategy.fixed-delay.attempts": "1000",
         "resourcemanager.start-worker.max-failure-rate": "1000"}


class OnFlink:
    def __init__(self, report, folder):
        self.report, self.folder = report, folder
        self.bed, self.kube = Bed("bench"), None
        self.ours = self.native = self.clusters = self.jobs = None

    def start(self):
        if self.bed.is_up():
            self.bed.down()
        self.bed.up("--images", "flink:1.20")
        self.kube = Kube([self.bed.kubectl], self.bed.kubeconfig)
        archive, image = build_image(os.path.join(self.folder, "image"))
        self.bed("import", archive)
        deploy = overlay(os.path.join(self.folder, "deploy"), "deploy/cluster-wide", image)
        self.kube.kubectl("apply", "--server-side", "-k", deploy)
        Deployed(self.kube).wait()
        self.kube.namespace(NS)
        self.ours, self.native = Flink(self.kube, NS, OURS), Native(self.kube, NS)
        self.native.start(cluster(NS, slots=2, conf=HARDY)["spec"])
        self.clusters, self.jobs = self.kube.watch("flinkdep", NS), self.kube.watch("sessionjob", NS)

    def stop(self):
        if self.kube:
            self.kube.close()
        self.bed.down()

    # ---- what is waited for ----

    @staticmethod
    def first(watch, name, what, wanted):
        """When wanted(status) was first true of that resource."""
        def seen(_, cr):
            return cr["metadata"]["name"] == name and wanted(cr.get("status", {}))
        return wait(f"{name} {what}", lambda: watch.first(seen, what), UP, 0.05)

    @staticmethod
    def running(flink, job_id):
        """When the job, and when the last of its tasks, became RUNNING, as the JobManager has noted it."""
        def noted():
            flink.running(job_id)
            detail = flink.get(f"/jobs/{job_id}")
            tasks = [subtask["timestamps"]["RUNNING"] for vertex in detail["vertices"]
                     for subtask in flink.get(f"/jobs/{job_id}/vertices/{vertex['id']}/subtasktimes")["subtasks"]]
            check(tasks and min(tasks) > 0, f"RUNNING at {tasks}")  # these answers may be 3 s old, the first one not
            return detail["timestamps"]["RUNNING"] / 1000, max(tasks) / 1000
        return wait(f"job {job_id} RUNNING", noted, UP, 0.5)

    def no_pod(self, name, component):
        def none():
            found = self.kube.list("pod", NS, f"app={name},component={component}")
            check(not found, f"{len(found)} pods")
            return True
        wait(f"no {component} of {name}", none, UP)

    # ---- clusters ----

    def cluster(self, name):
        """Seconds from apply to READY."""
        start = time.time()
        self.kube.create("flinkdep", NS, cluster(NS, name, slots=2, conf=HARDY))
        return self.first(self.clusters, name, "READY", lambda s: s.get("jobManagerDeploymentStatus") == "READY") - start

    def native_cluster(self):
        """Seconds from the Deployment's first replica to the first answer."""
        self.native.scale(0)
        self.no_pod("native", "jobmanager")
        start = time.time()
        self.native.scale(1)
        self.native.answers()
        return time.time() - start

    def compare_clusters(self, rounds):
        ours, native = [], []
        for i in range(rounds):
            ours.append(self.cluster(f"ready-{i}"))
            self.kube.delete("flinkdep", NS, f"ready-{i}")
            self.no_pod(f"ready-{i}", "jobmanager")
            native.append(self.native_cluster())
        self.report.median("session cluster, apply to READY", ours, "s")
        self.report.median("Flink's own, JobManager's Deployment to its first answer", native, "s")

    # ---- jobs ----

    def job(self, name, **more):
        """Seconds from apply to all tasks RUNNING, and how late the status told the state of the job and Ready."""
        start = time.time()
        self.kube.create("sessionjob", NS, job(NS, name, OURS, **more))
        ready = self.first(self.jobs, name, "Ready", is_ready)
        state = self.first(self.jobs, name, "RUNNING", lambda s: dig(s, "jobStatus.state") == "RUNNING")
        found = self.kube.get("sessionjob", NS, name)["status"]["jobStatus"]["jobId"]
        job_since, tasks_since = self.running(self.ours, found)
        return tasks_since - start, state - job_since, ready - tasks_since

    def no_job(self, name):
        self.kube.delete("sessionjob", NS, name)
        wait(f"no {name}", lambda: self.kube.get("sessionjob", NS, name) is None, UP)

    def native_job(self):
        """Seconds from the request to run a JAR to all tasks RUNNING; nothing is left."""
        start = time.time()
        found = self.native.run(entryClass="BedJob", parallelism=2)
        _, running = self.running(self.native, found)
        self.native.cancel(found)
        self.no_pod("native", "taskmanager")
        return running - start

    def compare_jobs(self, rounds):
        """Each with one TaskManager, which is not there yet."""
        ours, native = [], []
        for i in range(rounds):
            ours.append(self.job(f"zero-{i}", parallelism=2)[0])
            self.no_job(f"zero-{i}")
            self.no_pod(OURS, "taskmanager")
            native.append(self.native_job())
        self.report.median("session job from no TaskManager, apply to RUNNING", ours, "s")
        self.report.median("Flink's own, run request to RUNNING", native, "s")
        self.report.add("session job from no TaskManager, ours / Flink's own",
                        statistics.median(ours) / statistics.median(native), "×")

    # ---- applications ----

    def application(self, name, allocator):
        """Seconds from apply to all tasks RUNNING, and to the status that says so; nothing is left."""
        start = time.time()
        self.kube.create("flinkdep", NS, application(NS, name, parallelism=2, slots=2, conf=HARDY, serviceAccount=ACCOUNT,
                                                     allocator={"type": allocator}))
        told = self.first(self.clusters, name, "RUNNING", lambda s: dig(s, "jobStatus.state") == "RUNNING" and is_ready(s))
        found = self.kube.get("flinkdep", NS, name)["status"]["jobStatus"]["jobId"]
        _, running = self.running(Flink(self.kube, NS, name), found)
        self.kube.delete("flinkdep", NS, name)
        self.no_pod(name, "jobmanager")
        self.no_pod(name, "taskmanager")
        return running - start, told - start

    def compare_applications(self, rounds):
        """Each with one TaskManager, from nothing but the image; all is the same but who makes it."""
        seen = {"Operator": [], "Flink": []}
        for i in range(rounds):
            for allocator, samples in seen.items():
                samples.append(self.application(f"{allocator.lower()}-{i}", allocator))
        (ours, ours_told), (native, native_told) = (zip(*samples) for samples in seen.values())
        self.report.median("application, apply to RUNNING", ours, "s")
        self.report.median("Flink's own, application, apply to RUNNING", native, "s")
        self.report.add("application, ours / Flink's own", statistics.median(ours) / statistics.median(native), "×")
        self.report.median("application, apply to RUNNING in its status", ours_told, "s")
        self.report.median("Flink's own, application, apply to RUNNING in its status", native_told, "s")

    # ---- TaskManagers that die ----

    def kill(self, flink, name, job_id):
        """Kills the only TaskManager of that job: seconds until another pod was seen, and until all tasks ran again."""
        pod, = self.kube.list("pod", NS, f"app={name},component=taskmanager")
        watch = self.kube.watch("pod", NS)
        pids = self.bed.jvms(pod["metadata"]["name"])
        start = time.time()
        self.bed.signal("KILL", pids)

        def another(_, seen):
            meta = seen["metadata"]
            return (meta["labels"].get("app") == name and meta["labels"].get("component") == "taskmanager"
                    and meta["uid"] != pod["metadata"]["uid"])

        def again():
            job = flink.get(f"/jobs/{job_id}")
            check(job["timestamps"]["RESTARTING"] > start * 1000, f"it has not restarted: {job['timestamps']}")
            return True
        created = wait("a replacement", lambda: watch.first(another, "its pod"), UP, 0.02)
        watch.stop()
        wait("the job restarted", again, UP, 0.5)
        last = wait("its tasks are new", lambda: max(0, self.running(flink, job_id)[1] - start), UP, 0.5)
        return created - start, last

    def compare_deaths(self, rounds):
        """SIGKILL from outside of the pod: nothing is said to anybody."""
        self.kube.create("sessionjob", NS, job(NS, "dies", OURS, parallelism=2))
        self.first(self.jobs, "dies", "Ready", is_ready)
        mine = self.kube.get("sessionjob", NS, "dies")["status"]["jobStatus"]["jobId"]
        theirs = self.native.run(entryClass="BedJob", parallelism=2)
        self.running(self.native, theirs)
        ours, native = [], []
        for _ in range(rounds):
            ours.append(self.kill(self.ours, OURS, mine))
            native.append(self.kill(self.native, "native", theirs))
        self.no_job("dies")
        self.native.cancel(theirs)
        self.no_pod(OURS, "taskmanager")
        self.no_pod("native", "taskmanager")
        for i, what in enumerate(("replacement pod", "job RUNNING again")):
            self.report.median(f"TaskManager SIGKILLed → {what}", [o[i] for o in ours], "s")
            self.report.median(f"Flink's own, TaskManager SIGKILLed → {what}", [n[i] for n in native], "s")

    def tell(self, rounds):
        """Jobs whose slot is there."""
        self.job("keeps-the-taskmanager")
        seen = []
        for i in range(rounds):
            seen.append(self.job(f"free-{i}"))
            self.no_job(f"free-{i}")
        took, state_late, ready_late = zip(*seen)
        self.report.median("session job with a free slot, apply to RUNNING", took, "s")
        self.report.percentiles("job RUNNING in Flink to RUNNING in its status", state_late, "s")
        self.report.percentiles("all tasks RUNNING in Flink to Ready in the status", ready_late, "s")


def is_ready(status):
    return any(c["type"] == "Ready" and c["status"] == "True" for c in status.get("conditions", []))


def measure(report, options, folder):
    on = OnFlink(report, folder)
    try:
        on.start()
        on.compare_clusters(2 if options.quick else 5)
        on.compare_applications(2 if options.quick else 5)
        on.native.put_jar()
        on.cluster(OURS)
        on.compare_jobs(2 if options.quick else 7)
        on.compare_deaths(2 if options.quick else 5)
        on.tell(5 if options.quick else 40)
    finally:
        on.stop()
