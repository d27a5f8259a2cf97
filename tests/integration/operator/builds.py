"""The operator is upgraded and taken back: two builds whose defaults differ."""
import os
import shutil
import subprocess
import time

from exposure import NONE, change
from lib.bed import ROOT
from lib.check import check, dig, equal, wait
from lib.manifests import cluster
from lib.plane import SOON, named
from lib.plane_scene import answers, cluster_ready, elected, job_ready, log_has_no, namespace, pods, session, submit, versions, writes
from lib.suite import test

# What the next version does in another way: a default of Flink's options, of the allocator, of the pods, a file of the ConfigMap.
OTHERWISE = {
    "src/cluster/config_policy.c": (('"heartbeat.timeout", "20000"', '"heartbeat.timeout", "21000"'),
                                    ("#define START_TIMEOUT_MS 300000", "#define START_TIMEOUT_MS 310000")),
    "src/cluster/desired_jobmanager.c": (('{"periodSeconds", INT(1)}', '{"periodSeconds", INT(2)}'),),
    "src/cluster/files/launch.sh": (("MAX_LOG_FILE_NUMBER:-10", "MAX_LOG_FILE_NUMBER:-11"),),
}
EXPOSED = {"ingress": {"template": "{{name}}.example.com"}, "exposure": {"type": "None", "auth": NONE, "networkPolicy": True}}
KINDS = ("flinkdep", "sessionjob", "deployment", "service", "configmap", "pod", "ingress", "networkpolicy")


def next_version():
    """The daemon's binary, built from these sources with other defaults."""
    folder = os.path.join(ROOT, "build/it-operator/next")
    shutil.rmtree(folder, ignore_errors=True)
    for part in ("src", "include", "tests/sim/sim.mk", "Makefile"):
        copy = shutil.copytree if os.path.isdir(os.path.join(ROOT, part)) else shutil.copy
        os.makedirs(os.path.dirname(os.path.join(folder, part)), exist_ok=True)
        copy(os.path.join(ROOT, part), os.path.join(folder, part))
    for name, changes in OTHERWISE.items():
        path = os.path.join(folder, name)
        with open(path, encoding="utf-8") as f:
            text = f.read()
        for ours, theirs in changes:
            check(text.count(ours) == 1, f"{name} has {text.count(ours)} times {ours}")
            text = text.replace(ours, theirs)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
    subprocess.run(["nice", "make", "-s", "-j2", "-C", folder, "BUILD=plain", "VERSION=next", "build/plain/flink-operator"],
                   check=True, stdout=subprocess.DEVNULL)
    return os.path.join(folder, "build/plain/flink-operator")


def hand_over(run, old, binary):
    """As a rolling update does it: the new one waits, then the old one ends."""
    new = begins(run, binary)
    old.stop()
    wait("the new one leads", lambda: " leading " in new.log() and " ready " in new.log(), SOON, 0.05)
    return new


def begins(run, binary):
    found = elected(run, binary=binary)
    wait("it answers", lambda: answers(found), SOON, 0.05)
    return found


def untouched(run, before, since, operators):
    """Nothing of it was written, though everything was looked at."""
    time.sleep(5)
    equal([named(e) for e in writes(run, since) if dig(e, "objectRef.resource") != "leases"], [], "writes of the new version")
    equal(versions(run, kinds=KINDS), before, "objects")
    log_has_no(operators, "forbidden", "error=")


@test("an upgrade of the operator to a build whose defaults differ, and back: no write, no restart; the next change takes the new ones",
      timeout=300)
def upgraded(run):
    binary = next_version()
    ns = namespace(run)
    old = begins(run, "build/asan/flink-operator")
    session(run, **EXPOSED)
    job = submit(run)
    session(run, "fixed", mode="standalone", allocator=None, taskManager={"replicas": 2})
    # One that is not ready, and one that is suspended, are not given another try.
    run.kube.create("flinkdep", ns, cluster(ns, "bad", image=None, serviceAccount="x" * 300))
    wait("the bad one told", lambda: dig(run.kube.get("flinkdep", ns, "bad"), "status.error"), SOON)
    time.sleep(2)
    before, since = versions(run, kinds=KINDS), time.time()

    new = hand_over(run, old, binary)
    untouched(run, before, since, new)
    since = time.time()
    old = hand_over(run, new, "build/asan/flink-operator")
    untouched(run, before, since, old)

    new = hand_over(run, old, binary)
    former = sorted(pods(run, "jobmanager"))
    change(run, flinkConfiguration={"pipeline.name": "changed"})
    cluster_ready(run)
    check(not set(pods(run, "jobmanager")) & set(former), "the JobManager was not replaced")
    files = run.kube.get("configmap", ns, "flink-config-demo")["data"]
    check("21000" in str(files) and "MAX_LOG_FILE_NUMBER:-11" in str(files), "the configuration is not the new version's")
    files = run.kube.get("configmap", ns, "flink-config-fixed")["data"]
    check("20000" in str(files) and "21000" not in str(files), "the other cluster's configuration was written")
    check(job_ready(run) != job, "the job of a cluster that was replaced has its former id")
    new.stop()
