"""The operator's image and how it is installed."""
import os
import subprocess

from lib.bed import ROOT
from lib.check import check, equal, wait
from lib.manifests import cluster, job
from lib.operator import PROCESS, REPLICAS, Deployed, overlay
from lib.suite import test
from scene import job_running, session
from world import need_bed

MB = 1 << 20


@test("the binary has at most 2 MiB, the compressed image at most 30 MiB")
def size(run):
    need_bed(run)
    binary = os.path.getsize(os.path.join(ROOT, "build/e2e/image/rootfs/usr/bin/flink-operator"))
    packed = int(subprocess.run("gzip -6 -c build/e2e/image/flink-operator.tar | wc -c", shell=True, cwd=ROOT, check=True,
                                capture_output=True, text=True).stdout)
    check(binary <= 2 * MB, f"the stripped binary has {binary} bytes")
    check(packed <= 30 * MB, f"the compressed image has {packed} bytes")
    run.note(f"{binary / MB:.2f} MiB, {packed / MB:.1f} MiB")


@test("installed in one namespace with a Role, as any user, read-only, without capabilities: it works there and nowhere else",
      timeout=420)
def namespaced(run):
    other = run.ns + "-other"
    run.kube.namespace(other)
    run.cleanup(run.kube.delete, "namespace", None, other)
    # Two operators would both serve the namespace; the one for all rests meanwhile.
    run.operator.scale(0)
    run.cleanup(run.operator.wait)
    run.cleanup(run.operator.scale, REPLICAS)
    wait("the operator for all namespaces gone", lambda: not run.kube.list("pod", run.operator.ns), 60)

    folder = overlay(os.path.join(run.env.folder, "deploy-namespaced"), "deploy/base", run.env.image, run.ns)
    run.kube.kubectl("apply", "-k", folder)
    # As OpenShift would: a user that no image knows.
    run.kube.patch("deployment", run.ns, "flink-operator", {"spec": {"template": {"spec": {"securityContext": {
        "runAsUser": 1000680000, "runAsGroup": 0, "fsGroup": 1000680000}}}}})
    operator = Deployed(run.kube, run.ns)
    operator.wait()
    elsewhere = cluster(other)
    run.kube.apply(elsewhere)
    flink = session(run, cluster(run.ns))
    run.kube.apply(job(run.ns, "first"))
    job_running(run, flink, "first")
    untouched = run.kube.get("flinkdep", other, "demo")
    check("status" not in untouched and not untouched["metadata"].get("finalizers"), f"the other one was touched: {untouched}")
    log = operator.log()
    check("forbidden" not in log.lower(), lambda: f"the operator asked for more than its Role: {log[-2000:]}")
    account = f"system:serviceaccount:{run.ns}:flink-operator"
    for question in (["create", "pods", "-n", other], ["get", "secrets", "-n", run.ns], ["list", "flinkdeployments", "-A"]):
        answer = run.kube.kubectl("auth", "can-i", *question, f"--as={account}", fail=False)
        equal(answer.split("\n")[0].strip(), "no", f"may it {' '.join(question)}")
    if run.bed:
        confined(run)
    run.kube.delete("flinkdep", other, "demo")
    run.kube.kubectl("delete", "-n", run.ns, "sessionjob/first", "flinkdep/demo", "--timeout=60s")


def confined(run):
    """What the kernel knows of the processes."""
    pids = run.bed.pids(PROCESS)
    equal(len(pids), REPLICAS, "processes of the operator")
    for pid in pids:
        confined_process(run, pid)


def confined_process(run, pid):
    status = dict(line.split(":\t", 1) for line in run.bed("in", "cat", f"/proc/{pid}/status").splitlines() if ":\t" in line)
    equal(status["Uid"].split()[0], "1000680000", "user id of the process")
    equal({status[c] for c in ("CapEff", "CapPrm", "CapBnd")}, {"0" * 16}, "capabilities")
    equal((status["NoNewPrivs"], status["Seccomp"]), ("1", "2"), "no_new_privs, seccomp filter")
    mounts = run.bed("in", "cat", f"/proc/{pid}/mounts").splitlines()
    root = next(line for line in mounts if line.split()[1] == "/")
    check("ro" in root.split()[3].split(","), f"the root file system: {root}")


@test("with metrics-auth the pod waits for its certificate, and shows metrics behind its Service to who may get them", timeout=240)
def secured(run):
    need_bed(run)
    folder = overlay(os.path.join(run.env.folder, "deploy-secured"), "deploy/base", run.env.image, run.ns,
                     more=["components: [../../../deploy/metrics-auth]"])
    name = f"flink-operator-metrics.{run.ns}.svc"
    cert, key = (os.path.join(run.env.folder, "deploy-secured", f"tls.{end}") for end in ("crt", "key"))
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                    "-subj", "/CN=operator", "-addext", f"subjectAltName=DNS:{name}", "-out", cert, "-keyout", key],
                   check=True, capture_output=True)
    run.kube.kubectl("apply", "-k", folder)
    run.cleanup(run.kube.kubectl, "delete", "-k", folder, "--ignore-not-found", "--wait=false")
    run.kube.kubectl("create", "secret", "tls", "-n", run.ns, "flink-operator-metrics-tls", f"--cert={cert}", f"--key={key}")
    run.kube.kubectl("create", "serviceaccount", "-n", run.ns, "prometheus")
    run.kube.kubectl("create", "clusterrolebinding", f"{run.ns}-prometheus", "--clusterrole=flink-operator-metrics-reader",
                     f"--serviceaccount={run.ns}:prometheus")
    run.cleanup(run.kube.kubectl, "delete", "clusterrolebinding", f"{run.ns}-prometheus")
    operator = Deployed(run.kube, run.ns)
    operator.wait(120)

    def scrape(account):
        token = run.kube.kubectl("create", "token", "-n", run.ns, account).strip()
        found = run.bed("exec", "curl", "-s", "--cacert", cert, "-H", f"Authorization: Bearer {token}", "-w", "%{http_code}",
                        f"https://{name}:8443/metrics", fail=False)
        return found[-3:], found[:-3]
    wait("metrics behind the Service", lambda: scrape("prometheus")[0] == "200", 60)
    check("\nprocess_resident_memory_bytes " in scrape("prometheus")[1], "no metrics")
    status, text = scrape("default")
    check(status == "403" and f"{run.ns}:default may not get /metrics" in text, f"another account: {status} {text[:300]}")
