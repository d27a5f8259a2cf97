"""The life of a session cluster without jobs."""
import json

from lib.check import check, dig, equal, wait
from lib.manifests import cluster
from lib.suite import test
from scene import UP, cluster_ready, condition, is_ready, jobmanager, session, taskmanagers


@test("reaches READY with 0 TaskManagers and 0 slots, and its status says all of it")
def life(run):
    flink = session(run, cluster(run.ns))
    cr = run.kube.get("flinkdep", run.ns, "demo")
    status = cr["status"]
    equal(status["jobManagerDeploymentStatus"], "READY", "jobManagerDeploymentStatus")
    equal(status["lifecycleState"], "STABLE", "lifecycleState")
    equal(status["observedGeneration"], cr["metadata"]["generation"], "observedGeneration")
    check(not status.get("error"), f"error: {status.get('error')}")
    recon = status["reconciliationStatus"]
    equal(recon["state"], "DEPLOYED", "reconciliationStatus.state")
    record = json.loads(recon["lastReconciledSpec"])
    equal(record["spec"], cr["spec"], "lastReconciledSpec.spec")
    equal(record["resource_metadata"], {"apiVersion": "flink.apache.org/v1beta1", "firstDeployment": True},
          "lastReconciledSpec.resource_metadata")
    equal(recon["lastStableSpec"], recon["lastReconciledSpec"], "lastStableSpec")
    info = status["clusterInfo"]
    check(info["flink-version"].startswith("1.20") and info["flink-revision"], f"clusterInfo: {info}")
    equal((info["total-cpu"], info["total-memory"]), ("0.1", str(1 << 30)), "total-cpu, total-memory")
    equal(condition(cr, "Running")["reason"], "JobManagerReady", "condition Running")
    equal([condition(cr, c)["status"] for c in ("Ready", "Reconciling", "Stalled", "Running")],
          ["True", "False", "False", "True"], "conditions Ready, Reconciling, Stalled, Running")
    equal(dig(status, "allocator.taskManagers"), {"live": 0, "starting": 0, "desired": 0}, "allocator.taskManagers")
    equal(dig(status, "allocator.slots"), {"total": 0, "free": 0, "needed": 0}, "allocator.slots")
    overview = flink.overview()
    equal((overview["taskmanagers"], overview["slots-total"]), (0, 0), "Flink's TaskManagers and slots")
    equal(taskmanagers(run), [], "TaskManager pods")


@test("objects have the names, labels, owners and ports that tools rely on; no pod has an API token")
def objects(run):
    session(run, cluster(run.ns))
    cr = run.kube.get("flinkdep", run.ns, "demo")
    deployment = run.kube.get("deployment", run.ns, "demo")
    labels = {"app": "demo", "component": "jobmanager", "type": "flink-native-kubernetes"}
    equal(deployment["spec"]["selector"]["matchLabels"], labels, "selector")
    owner = deployment["metadata"]["ownerReferences"][0]
    equal((owner["kind"], owner["uid"], owner.get("controller", False)), ("FlinkDeployment", cr["metadata"]["uid"], False),
          "owner of the Deployment")
    rpc, rest = run.kube.get("service", run.ns, "demo"), run.kube.get("service", run.ns, "demo-rest")
    equal([(p["name"], p["port"]) for p in rpc["spec"]["ports"]], [("jobmanager-rpc", 6123), ("blobserver", 6124)],
          "ports of demo")
    equal(rpc["spec"]["clusterIP"], "None", "clusterIP of demo")
    equal([(p["name"], p["port"]) for p in rest["spec"]["ports"]], [("rest", 8081)], "ports of demo-rest")
    equal(rest["spec"]["type"], "ClusterIP", "type of demo-rest")
    for service in (rpc, rest):
        equal(service["metadata"]["ownerReferences"][0]["uid"], deployment["metadata"]["uid"], "owner of a Service")
    config = run.kube.get("configmap", run.ns, "flink-config-demo")
    check({"flink-conf.yaml", "log4j-console.properties", "logback-console.xml"} <= set(config["data"]),
          f"files of the ConfigMap: {sorted(config['data'])}")
    pod = jobmanager(run)
    container = pod["spec"]["containers"][0]
    equal(container["name"], "flink-main-container", "main container")
    equal({p["name"]: p["containerPort"] for p in container["ports"]},
          {"rest": 8081, "jobmanager-rpc": 6123, "blobserver": 6124}, "ports of the JobManager")
    mounts = [m["mountPath"] for m in container["volumeMounts"]]
    check("/var/run/secrets/kubernetes.io/serviceaccount" not in mounts, f"the JobManager has an API token: {mounts}")
    check(pod["spec"].get("automountServiceAccountToken") is False, "automountServiceAccountToken is not false")


@test("logs to the console and to the file that Flink's UI shows")
def logs(run):
    flink = session(run, cluster(run.ns))
    console = run.kube.kubectl("logs", "-n", run.ns, "deployment/demo")
    check("Rest endpoint listening at" in console, lambda: f"console: {console[-500:]}")
    file = flink.request("GET", "/jobmanager/log").decode()
    check("Rest endpoint listening at" in file, lambda: f"/jobmanager/log: {file[-500:]}")
    names = [entry["name"] for entry in flink.get("/jobmanager/logs")["logs"]]
    check(any(name.endswith(".log") for name in names), f"/jobmanager/logs: {names}")


@test("kubectl wait --for=condition=Ready waits for a spec change, too")
def wait_ready(run):
    run.kube.apply(cluster(run.ns))
    ready = ("wait", "-n", run.ns, "--for=condition=Ready", "flinkdep/demo", f"--timeout={UP}s")
    run.kube.kubectl(*ready, timeout=UP + 10)
    before = jobmanager(run)["metadata"]["uid"]
    run.kube.apply(cluster(run.ns, conf={"rest.flamegraph.enabled": "true"}))
    run.kube.kubectl(*ready, timeout=UP + 10)
    cr = is_ready(run.kube.get("flinkdep", run.ns, "demo"))
    equal(cr["status"]["observedGeneration"], 2, "observedGeneration")
    check(jobmanager(run)["metadata"]["uid"] != before, "the JobManager is still the old one")
    config = cluster_ready(run).get("/jobmanager/config")
    check({"key": "rest.flamegraph.enabled", "value": "true"} in config, "the new option is not in force")


@test("kubectl get shows job status and lifecycle state")
def columns(run):
    run.kube.apply(cluster(run.ns))

    def table():
        lines = run.kube.kubectl("get", "-n", run.ns, "flinkdep,sessionjob").splitlines()
        check("JOB STATUS" in lines[0] and "LIFECYCLE STATE" in lines[0], lines[0])
        check("STABLE" in lines[1], lines[1])
        return True
    wait("the table", table, UP, 0.5)
