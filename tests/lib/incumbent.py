"""Clusters as the incumbent lays them out (api-contract §4) and records them (§1.6), release 1.15: what somebody who changes the
operator already has. Each runs the real Flink; nobody controls it until an operator comes."""
import copy
import json

from lib.check import check, wait
from lib.flink import Flink
from lib.manifests import API, JAR

FINALIZERS = {"FlinkDeployment": "flinkdeployments.flink.apache.org/finalizer",
              "FlinkSessionJob": "flinksessionjobs.flink.apache.org/finalizer"}
KIND = {"FlinkDeployment": "flinkdep", "FlinkSessionJob": "sessionjob"}
LOG = "src/cluster/files/log4j-console.properties"
PORTS = [{"name": "rest", "containerPort": 8081}, {"name": "jobmanager-rpc", "containerPort": 6123},
         {"name": "blobserver", "containerPort": 6124}]
TEMPLATE = "/opt/flink/pod-template"
# What its chart sets for each version of Flink, since its ConfigMap hides that of the image.
EXPORTS = ("java.base/sun.net.util java.rmi/sun.rmi.registry jdk.compiler/com.sun.tools.javac.api "
           "jdk.compiler/com.sun.tools.javac.file jdk.compiler/com.sun.tools.javac.parser jdk.compiler/com.sun.tools.javac.tree "
           "jdk.compiler/com.sun.tools.javac.util java.security.jgss/sun.security.krb5")
OPENS = ("java.lang java.net java.io java.nio sun.nio.ch java.lang.reflect "
         "java.text java.time java.util java.util.concurrent java.util.concurrent.atomic java.util.concurrent.locks")
JAVA = " ".join([*(f"--add-exports={e}=ALL-UNNAMED" for e in EXPORTS.split()),
                 *(f"--add-opens=java.base/{o}=ALL-UNNAMED" for o in OPENS.split())])


# ---- what its classes make of a spec ----

def component(given, jobmanager):
    resource = given.get("resource")
    return {"resource": {"cpu": float(resource["cpu"]), "memory": resource["memory"], "ephemeralStorage": None},
            "replicas": given.get("replicas", 1 if jobmanager else None), "podTemplate": given.get("podTemplate")}


def job_spec(given):
    return {"jarURI": given.get("jarURI"), "parallelism": given.get("parallelism", 0), "entryClass": given.get("entryClass"),
            "args": given.get("args", []), "state": "running", "savepointTriggerNonce": None, "checkpointTriggerNonce": None,
            "initialSavepointPath": None, "upgradeMode": "stateless", "allowNonRestoredState": None,
            "savepointRedeployNonce": None, "autoscalerResetNonce": None}


def record(spec):
    """lastReconciledSpec: defaults and nulls are written out; the upgrade mode is that of the restore."""
    conf = copy.deepcopy(spec.get("flinkConfiguration", {}))
    job = job_spec(spec["job"]) if "job" in spec else None
    if "deploymentName" in spec:
        found = {"job": job, "restartNonce": None, "flinkConfiguration": conf, "deploymentName": spec["deploymentName"]}
    else:
        found = {"job": job, "restartNonce": None, "flinkConfiguration": conf, "image": spec["image"], "imagePullPolicy": None,
                 "serviceAccount": spec["serviceAccount"], "flinkVersion": spec["flinkVersion"], "ingress": None,
                 "podTemplate": spec.get("podTemplate"), "jobManager": component(spec["jobManager"], True),
                 "taskManager": component(spec["taskManager"], False), "logConfiguration": None, "mode": spec.get("mode")}
    return json.dumps({"spec": found, "resource_metadata": {"apiVersion": API, "firstDeployment": False}})


def status(cr, flink, job_id):
    text = record(cr["spec"])
    found = {"reconciliationStatus": {"reconciliationTimestamp": 1767225600000, "lastReconciledSpec": text,
                                      "lastStableSpec": text, "state": "DEPLOYED"},
             "lifecycleState": "STABLE", "observedGeneration": cr["metadata"]["generation"],
             "jobStatus": {"savepointInfo": {"lastPeriodicSavepointTimestamp": 0, "savepointHistory": []},
                           "checkpointInfo": {"lastPeriodicCheckpointTimestamp": 0}}}
    if job_id:
        job = flink.job(job_id)
        found["jobStatus"].update({"jobName": job["name"], "jobId": job_id, "state": job["state"],
                                   "startTime": str(job["start-time"]), "updateTime": str(job["start-time"])})
    if cr["kind"] == "FlinkDeployment":
        overview = flink.overview()
        found.update({"jobManagerDeploymentStatus": "READY", "clusterInfo": {
            "flink-version": overview["flink-version"], "flink-revision": overview["flink-commit"], "total-cpu": "0.2"}})
        found["taskManager"] = {"labelSelector": f"component=taskmanager,app={cr['metadata']['name']}" if job_id else "",
                                "replicas": 1 if job_id else 0}
        found["conditions"] = [{"type": "Running", "status": "True", "reason": "Running" if job_id else "JobManagerReady",
                                "message": "Job status RUNNING" if job_id else
                                "JobManager is running and ready to receive REST API calls",
                                "lastTransitionTime": "2026-01-01T00:00:00Z"}]
    return found


# ---- what it makes of it in Kubernetes ----

def merged(pod, template):
    """A template whose main container is the only one that it changes."""
    spec = (template or {}).get("spec", {})
    main = next((c for c in spec.get("containers", []) if c["name"] == "flink-main-container"), {})
    pod["volumes"] += spec.get("volumes", [])
    pod["containers"][0]["volumeMounts"] += main.get("volumeMounts", [])
    return pod


class Cluster:
    """A FlinkDeployment of the incumbent: manifest without `allocator`."""

    def __init__(self, kube, manifest, job_id=None):
        self.kube, self.job_id = kube, job_id
        self.ns, self.name = manifest["metadata"]["namespace"], manifest["metadata"]["name"]
        self.spec = manifest["spec"]
        self.standalone = self.spec.get("mode") == "standalone"
        self.ha = self.spec["flinkConfiguration"].get("high-availability.type") == "kubernetes"
        self.labels = {"app": self.name, "type": f"flink-{'standalone' if self.standalone else 'native'}-kubernetes"}
        self.cr = create(kube, manifest)
        self.flink = Flink(kube, self.ns, self.name)

    def configuration(self):
        conf = dict(self.spec["flinkConfiguration"])
        job = self.spec.get("job")
        kind = "application" if job else "session"
        conf.update({
            "$internal.flink.version": self.spec["flinkVersion"], "internal.cluster.execution-mode": "NORMAL",
            "kubernetes.namespace": self.ns, "kubernetes.cluster-id": self.name, "blob.server.port": "6124",
            "env.java.default-opts.all": JAVA,
            "taskmanager.rpc.port": "6122", "kubernetes.container.image.ref": self.spec["image"],
            "kubernetes.service-account": self.spec["serviceAccount"], "kubernetes.rest-service.exposed.type": "ClusterIP",
            "web.cancel.enable": "false", "execution.shutdown-on-application-finish": "false",
            "execution.submit-failed-job-on-application-error": "true"})
        for key, name in (("jobmanager", "jobManager"), ("taskmanager", "taskManager")):
            conf[f"{key}.memory.process.size"] = self.spec[name]["resource"]["memory"]
            conf[f"kubernetes.{key}.cpu.amount"] = str(float(self.spec[name]["resource"]["cpu"]))
        if self.ha:
            conf.update({"high-availability.cluster-id": self.name, "high-availability.jobmanager.port": "6123"})
        else:
            conf["jobmanager.rpc.address"] = f"{self.name}.{self.ns}"
        if job:
            conf.update({"parallelism.default": str(job["parallelism"]), "$internal.pipeline.job-id": self.job_id,
                         "pipeline.name": self.name,
                         "execution.checkpointing.externalized-checkpoint-retention": "RETAIN_ON_CANCELLATION"})
        if self.standalone:
            conf["execution.target"] = "remote"
            if job:
                conf["pipeline.classpaths"] = job["jarURI"].replace("local:", "file:")
        else:
            conf.update({"execution.target": f"kubernetes-{kind}",
                         "kubernetes.internal.jobmanager.entrypoint.class":
                         f"org.apache.flink.kubernetes.entrypoint.Kubernetes{kind.capitalize()}ClusterEntrypoint"})
            if job:
                conf.update({"pipeline.jars": job["jarURI"], "$internal.application.main": job["entryClass"],
                             "$internal.application.program-args": ";".join(job["args"])})
            if "podTemplate" in self.spec:
                conf["kubernetes.pod-template-file.taskmanager"] = f"{TEMPLATE}/taskmanager-pod-template.yaml"
        with open(LOG, encoding="utf-8") as f:
            log = f.read()
        return {"flink-conf.yaml": "".join(f"{k}: {v}\n" for k, v in conf.items()), "log4j-console.properties": log}

    def pod(self, role, args, ports):
        resource = self.spec["jobManager" if role == "jobmanager" else "taskManager"]["resource"]
        memory = resource["memory"].replace("m", "Mi")
        container = {
            "name": "flink-main-container", "image": self.spec["image"], "imagePullPolicy": "IfNotPresent",
            "command": ["/docker-entrypoint.sh"], "args": args, "ports": ports,
            "resources": {"requests": {"cpu": str(resource["cpu"]), "memory": memory}, "limits": {"memory": memory}},
            "env": [{"name": "_POD_IP_ADDRESS", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "status.podIP"}}}],
            "volumeMounts": [{"name": "flink-config-volume", "mountPath": "/opt/flink/conf"}]}
        pod = merged({"serviceAccountName": self.spec["serviceAccount"], "terminationGracePeriodSeconds": 5,
                      "containers": [container], "volumes": [
                          {"name": "flink-config-volume", "configMap": {"name": f"flink-config-{self.name}"}}]},
                     self.spec.get("podTemplate"))
        if role == "jobmanager" and not self.standalone and "podTemplate" in self.spec:
            pod["volumes"].append({"name": "pod-template-volume", "configMap": {"name": f"pod-template-{self.name}"}})
            container["volumeMounts"].append({"name": "pod-template-volume", "mountPath": TEMPLATE})
        return pod

    def arguments(self):
        job = self.spec.get("job")
        if not self.standalone:
            return ["bash", "-c", f"kubernetes-jobmanager.sh kubernetes-{'application' if job else 'session'} "]
        if not job:
            return ["jobmanager", *(["$(_POD_IP_ADDRESS)"] if self.ha else [])]
        return ["standalone-job", "--job-classname", job["entryClass"], *(["--host", "$(_POD_IP_ADDRESS)"] if self.ha else []),
                *job["args"]]

    def deployment(self, name, role, replicas, args, ports):
        labels = {**self.labels, "component": role}
        marks = {"flinkdeployment.flink.apache.org/generation": str(self.cr["metadata"]["generation"])}
        return self.kube.create("deployment", self.ns, {
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": name, "labels": labels, "annotations": marks, "ownerReferences": [self.owner(self.cr, False)]},
            "spec": {"replicas": replicas, "selector": {"matchLabels": labels},
                     "template": {"metadata": {"labels": labels, "annotations": marks}, "spec": self.pod(role, args, ports)}}})

    @staticmethod
    def owner(of, controller):
        return {"apiVersion": of["apiVersion"], "kind": of["kind"], "name": of["metadata"]["name"], "uid": of["metadata"]["uid"],
                "controller": controller, "blockOwnerDeletion": True}

    def deploy(self):
        """In its order: the Deployment first, then what that owns."""
        d = self.deployment(self.name, "jobmanager", 1, self.arguments(), PORTS)
        d.update(apiVersion="apps/v1", kind="Deployment")
        meta = {"labels": self.labels, "ownerReferences": [self.owner(d, True)]}
        selector = {**self.labels, "component": "jobmanager"}
        if self.standalone or not self.ha:
            self.kube.create("service", self.ns, {
                "apiVersion": "v1", "kind": "Service", "metadata": {"name": self.name, **meta},
                "spec": {"clusterIP": "None", "selector": selector,
                         "ports": [{"name": "jobmanager-rpc", "port": 6123}, {"name": "blobserver", "port": 6124}]}})
        self.kube.create("service", self.ns, {
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": f"{self.name}-rest", **meta},
            "spec": {"type": "ClusterIP", "selector": selector, "ports": [{"name": "rest", "port": 8081, "targetPort": 8081}]}})
        self.config_map(f"flink-config-{self.name}", meta, self.configuration())
        if not self.standalone and "podTemplate" in self.spec:
            self.config_map(f"pod-template-{self.name}", meta, {"taskmanager-pod-template.yaml": json.dumps(
                {"apiVersion": "v1", "kind": "Pod", **self.spec["podTemplate"]})})
        if self.standalone:
            self.deployment(f"{self.name}-taskmanager", "taskmanager", self.spec["taskManager"].get("replicas", 1),
                            ["taskmanager"], [{"name": "taskmanager-rpc", "containerPort": 6122}])

    def config_map(self, name, meta, data):
        self.kube.create("configmap", self.ns, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, **meta}, "data": data})

    def run(self):
        """Deployed, its job running, and that recorded: its Flink."""
        self.deploy()
        wait("the JobManager answers", self.flink.overview, 120)
        if self.job_id:
            wait("its job runs", lambda: self.flink.running(self.job_id), 120)
        put(self.kube, self.cr, self.flink, self.job_id)
        return self.flink


def create(kube, manifest):
    """The resource with the incumbent's finalizer."""
    manifest = copy.deepcopy(manifest)
    check("allocator" not in manifest["spec"], "the incumbent knows no allocator")
    manifest["metadata"]["finalizers"] = [FINALIZERS[manifest["kind"]]]
    return kube.create(KIND[manifest["kind"]], manifest["metadata"]["namespace"], manifest)


def put(kube, cr, flink, job_id):
    """Writes the status that the incumbent would have written last."""
    kube.patch_status(KIND[cr["kind"]], cr["metadata"]["namespace"], cr["metadata"]["name"], {"status": status(cr, flink, job_id)})


def session_job(kube, manifest, flink, job_id):
    """A FlinkSessionJob whose job was submitted from the tests' JAR, wherever that comes from."""
    cr = create(kube, manifest)
    ns, name, job = manifest["metadata"]["namespace"], manifest["spec"]["deploymentName"], manifest["spec"]["job"]
    pod, = kube.list("pod", ns, f"app={name},component=jobmanager")
    jar = job["jarURI"].rpartition("/")[2]
    kube.exec(ns, pod["metadata"]["name"], "sh", "-c",
              f"cd /tmp/flink-web-* && mkdir -p flink-web-upload && cp {JAR.removeprefix('local://')} flink-web-upload/{jar}")
    flink.post(f"/jars/{jar}/run", {
        "entryClass": job["entryClass"], "programArgsList": job["args"], "parallelism": job["parallelism"], "jobId": job_id,
        "flinkConfiguration": manifest["spec"].get("flinkConfiguration", {})})
    wait(f"job {manifest['metadata']['name']} runs", lambda: flink.running(job_id), 120)
    put(kube, cr, flink, job_id)
