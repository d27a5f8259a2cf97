"""What every end-to-end test finds: a cluster with the operator in it."""
import os
import subprocess

from lib.bed import ROOT, Bed
from lib.check import Failure, Skip, check, wait
from lib.collect import collect
from lib.kube import Kube
from lib.operator import NAMESPACE, REPLICAS, Deployed, build_image, overlay

PREFIX = "e2e-"
# Jobs come from web servers of the tests, which have addresses inside the cluster and no certificates.
CONFIG = """\
kubernetes.operator.flink.client.cancel.timeout: 15 s
kubernetes.operator.user.artifacts.allowed-schemes: https,http
kubernetes.operator.user.artifacts.disallow-restricted-hosts: false
"""


class World:
    def __init__(self, options):
        self.keep, self.bed, self.kube, self.operator = options.keep, None, None, None
        self.name = options.bed
        self.folder = os.path.join(ROOT, "build/e2e")

    # ---- the whole ----

    def start(self):
        if os.environ.get("KUBECONFIG"):
            self.image = check(os.environ.get("IMAGE"), "KUBECONFIG is set: IMAGE must name the operator's image")
            self.kube = Kube()
        else:
            self.start_bed()
        self.operator = Deployed(self.kube, bed=self.bed)
        self.install()
        for ns in self.namespaces():
            self.kube.delete("namespace", None, ns)
        wait("namespaces of an earlier run gone", lambda: not self.namespaces(), 180, 1)

    def start_bed(self):
        if os.geteuid():
            raise Failure("a bed needs root; or set KUBECONFIG and IMAGE")
        subprocess.run(["make", "--no-print-directory", "-s"], cwd=ROOT, check=True)
        self.bed = Bed(self.name)
        if self.bed.is_up() and not self.keep:
            self.bed.down()
        self.bed.up("--images", "flink:1.20,flink:1.18,flink:2.2", owner="none" if self.keep else None)
        self.kube = Kube([self.bed.kubectl], self.bed.kubeconfig)
        archive, self.image = build_image(os.path.join(self.folder, "image"))
        self.bed("import", archive)

    def install(self):
        self.deploy = overlay(os.path.join(self.folder, "deploy"), "deploy/cluster-wide", self.image)
        self.kube.kubectl("apply", "--server-side", "--force-conflicts", "-k", self.deploy)
        self.kube.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "flink-operator-config",
                                                                              "namespace": NAMESPACE},
                         "data": {"config.yaml": CONFIG}})
        self.operator.scale(0)
        wait("the operator's pods gone", lambda: not self.kube.list("pod", NAMESPACE), 60)
        self.operator.scale(REPLICAS)
        self.operator.wait()

    def stop(self, failures):
        if not self.kube:
            return
        if not self.bed:
            for ns in self.namespaces():
                self.kube.delete("namespace", None, ns)
            self.kube.kubectl("delete", "-k", self.deploy, "--wait=false", "--ignore-not-found", fail=False)
        self.kube.close()
        if self.bed and not self.keep:
            self.bed.down()

    def namespaces(self):
        return [n["metadata"]["name"] for n in self.kube.list("namespace")
                if n["metadata"]["name"].startswith(PREFIX)]

    # ---- one test ----

    def before(self, run):
        run.kube, run.operator, run.bed = self.kube, self.operator, self.bed
        run.ns = PREFIX + run.test.id.replace(".", "-").replace("_", "-")
        self.kube.namespace(run.ns)
        run.cleanup(self.kube.delete, "namespace", None, run.ns)

    def failed(self, run):
        collect(self.kube, run.dir, [run.ns, NAMESPACE])


def need_bed(run):
    """For tests that do to the node, or to processes, what only the owner of the machine can."""
    if not run.bed:
        raise Skip("acts on the node: only in a bed")
    return run.bed
