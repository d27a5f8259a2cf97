"""Flink's own Kubernetes allocation, as its documentation says: its client makes the cluster, and the JobManager, whose
service account may create pods, makes TaskManagers. What ours is measured against."""
from lib.check import wait
from lib.flink import Flink

NAME = "native"
ACCOUNT = "flink"
JAR = "bed-jobs.jar"


class Native(Flink):
    def __init__(self, kube, ns):
        super().__init__(kube, ns, NAME)
        self.ns = ns

    def start(self, spec):
        """The same cluster as a FlinkDeployment with that spec."""
        meta = {"name": ACCOUNT, "namespace": self.ns}
        rbac = "rbac.authorization.k8s.io"
        self.kube.apply(
            {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta},
            {"apiVersion": f"{rbac}/v1", "kind": "Role", "metadata": meta, "rules": [
                {"apiGroups": [""], "resources": ["pods", "configmaps", "services"], "verbs": ["*"]},
                {"apiGroups": ["apps"], "resources": ["deployments", "deployments/finalizers"], "verbs": ["*"]}]},
            {"apiVersion": f"{rbac}/v1", "kind": "RoleBinding", "metadata": meta,
             "roleRef": {"apiGroup": rbac, "kind": "Role", "name": ACCOUNT},
             "subjects": [{"kind": "ServiceAccount", "name": ACCOUNT, "namespace": self.ns}]},
            {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "client", "namespace": self.ns}, "spec": {
                "serviceAccountName": ACCOUNT, "terminationGracePeriodSeconds": 0, "containers": [
                    {"name": "flink-main-container", "image": spec["image"], "command": ["sleep", "infinity"]}]}})
        self.kube.kubectl("wait", "-n", self.ns, "--for=condition=Ready", "pod/client", "--timeout=60s")
        conf = {
            "kubernetes.cluster-id": NAME,
            "kubernetes.namespace": self.ns,
            "kubernetes.service-account": ACCOUNT,
            "kubernetes.container.image.ref": spec["image"],
            "jobmanager.memory.process.size": spec["jobManager"]["resource"]["memory"],
            "kubernetes.jobmanager.cpu.amount": spec["jobManager"]["resource"]["cpu"],
            "taskmanager.memory.process.size": spec["taskManager"]["resource"]["memory"],
            "kubernetes.taskmanager.cpu.amount": spec["taskManager"]["resource"]["cpu"],
            "web.upload.dir": "/tmp",
            "resourcemanager.taskmanager-timeout": spec["allocator"]["idleTimeout"],
            **spec["flinkConfiguration"],
        }
        self.kube.exec(self.ns, "client", "/opt/flink/bin/kubernetes-session.sh", *(f"-D{k}={v}" for k, v in conf.items()))
        self.kube.delete("pod", self.ns, "client")
        self.answers()

    def answers(self):
        return wait("Flink's own session cluster", self.overview, 120, 0.05)

    def scale(self, replicas):
        self.kube.patch("deployment", self.ns, NAME, {"spec": {"replicas": replicas}})

    def put_jar(self):
        """Where an upload would have put it. This JobManager forgets it when it ends."""
        pod, = self.kube.list("pod", self.ns, f"app={NAME},component=jobmanager")
        self.kube.exec(self.ns, pod["metadata"]["name"], "cp", f"/opt/flink/usrlib/{JAR}", "/tmp/flink-web-upload")

    def run(self, **more):
        """The id of a job from that JAR."""
        return self.post(f"/jars/{JAR}/run", more)["jobid"]
