"""Where the demo plays: in a bed of its own on this machine, or in the cluster of $KUBECONFIG."""
import os
import shutil
import subprocess

from console import Step, say
from lib.bed import ROOT, Bed
from lib.check import Failure, check, dig
from lib.kube import ApiError, Kube
from lib.operator import NAMESPACE, build_image, overlay

BUILD = os.path.join(ROOT, "build/demo")
HOME = "flink-demo"  # the namespace of what the demo applies
OWN = "flink-operator-demo"  # a label: this object of the cluster's is there because of the demo
FLINK = "1.20"
CRDS = {f"customresourcedefinition.apiextensions.k8s.io/{name}.flink.apache.org"
        for name in ("flinkdeployments", "flinksessionjobs", "flinkstatesnapshots")}
OTHERS = {f"namespace/{NAMESPACE}", f"namespace/{HOME}", "clusterrole.rbac.authorization.k8s.io/flink-operator-cluster-wide",
          "clusterrolebinding.rbac.authorization.k8s.io/flink-operator-cluster-wide"}
OPERATORS = {"flink-operator", "flink-kubernetes-operator"}  # this one, Apache's


def place():
    bed = Bed("demo")
    config = os.environ.get("KUBECONFIG")
    if config and bed.is_up():  # whoever has used `bed env` means the demo's own cluster
        bed.attach()
        config = config if os.path.abspath(config) != bed.kubeconfig else None
    return Given() if config else Embedded(bed)


class Embedded:
    flink_image = f"flink:{FLINK}"

    def __init__(self, bed):
        self.bed, self.kube = bed, None
        # As people type it.
        self.kubectl = ["tests/bed/bed", "--name", bed.name, "kubectl"]

    def need_root(self):
        check(not os.geteuid(), "a Kubernetes on this machine needs root; or set KUBECONFIG and IMAGE to use yours")

    def prepare(self):
        """The cluster, and the name of the operator's image that is in it."""
        self.need_root()
        say("A Kubernetes of its own on this machine, Flink in it, the operator, two jobs.")
        with Step("What it needs from Debian and PyPI") as step:
            step.run("Debian packages", ["tests/deps", "build"], 1200)
            step.run("tests/bed/bed deps", [*self.bed.command, "deps"], 1200)
        with Step("The operator: make") as step:
            step.run("make", ["make", "--no-print-directory", "-j", str(os.cpu_count())], 1200)
        with Step(f"Kubernetes and Flink {FLINK}: built from source the first time, which takes about 8 minutes") as step:
            step.run("tests/bed/bed build", [*self.bed.command, "build", "control-plane", "node", "flink", FLINK], 3600)
        with Step("The cluster: etcd, API server, controllers, scheduler, containerd, kubelet, kube-proxy, CoreDNS") as step:
            step.run("tests/bed/bed up", [*self.bed.command, "up", "--images", self.flink_image], 600,
                     env=dict(os.environ, BED_OWNER_PID="none"))
            self.bed.attach()
            self.kube = Kube([self.bed.kubectl], self.bed.kubeconfig)
        with Step("The operator's container image") as step:
            step.detail = "tests/bed/bed image"
            archive, image = build_image(os.path.join(BUILD, "image"))
            step.run("tests/bed/bed import", [*self.bed.command, "import", archive], 120)
            step.say(f"{image}, {os.path.getsize(archive) / 1e6:.0f} MB")
        return image

    def down(self):
        self.need_root()
        with Step("Ending the cluster and removing its state") as step:
            step.run("tests/bed/bed down", [*self.bed.command, "down"], 180)
            shutil.rmtree(BUILD, ignore_errors=True)
        say("\nNothing of it is left but what was built for it: build/, and the cache that tests/README.md names.")


class Given:
    """What the demo makes there it labels; CRDs that were there before it stay."""

    kubectl = ["kubectl"]
    flink_image = os.environ.get("FLINK_IMAGE", f"flink:{FLINK}")

    def __init__(self):
        check(shutil.which("kubectl"), "KUBECONFIG is set: a kubectl is needed on the PATH")
        self.kube = None

    def connect(self):
        with Step(f"The cluster of {os.environ['KUBECONFIG']}") as step:
            step.run("kubectl version", [*self.kubectl, "version"], 60)
            self.kube = Kube(self.kubectl)

    def prepare(self):
        image = os.environ.get("IMAGE", "")
        check(":" in image.rpartition("/")[2],
              "KUBECONFIG is set: IMAGE must name the operator's image, with a tag, where that cluster can pull it from; "
              "deploy/README.md says how to build it")
        self.connect()
        return image

    def down(self):
        self.connect()
        with Step(f"Deleting namespace {HOME}, then the operator") as step:
            clear(self.kube, step)
            kinds, others = "namespace,clusterrole,clusterrolebinding", served(self.kube)
            if others:
                step.say(f"the CRDs stay: there are FlinkDeployments in {', '.join(others)}")
            else:
                kinds += ",crd"
            step.detail = f"kubectl delete {kinds}"
            done = self.kube.kubectl("delete", kinds, "-l", OWN, "--timeout=120s", timeout=130)
            step.say(done.rstrip() or "there was nothing more")
            shutil.rmtree(BUILD, ignore_errors=True)


def install(kube, image):
    """Writes the overlay of deploy/cluster-wide and returns its folder. Refuses where it would get into somebody's way."""
    listed = kube.kubectl("get", "namespace,clusterrole,clusterrolebinding,crd", "-l", f"!{OWN}", "-o", "name")
    foreign = set(listed.split())
    check(not foreign & OTHERS, lambda: f"there is already {', '.join(sorted(foreign & OTHERS))}, and not from this demo")
    rivals = [f"{d['metadata']['namespace']}/{d['metadata']['name']}" for d in kube.list("deployment")
              if d["metadata"]["name"] in OPERATORS and d["metadata"]["namespace"] != NAMESPACE]
    check(not rivals, lambda: f"an operator for Flink is already there: {', '.join(rivals)}")
    kinds = ["Namespace", "ClusterRole", "ClusterRoleBinding"]
    if foreign & CRDS:
        others = served(kube)
        check(not others, lambda: f"there are FlinkDeployments in {', '.join(others)}; the demo's operator, for all "
              "namespaces, would take them over")
    else:
        kinds.append("CustomResourceDefinition")
    mark = f"{{apiVersion: v1, kind: Any, metadata: {{name: any, labels: {{{OWN}: \"true\"}}}}}}"
    return overlay(os.path.join(BUILD, "deploy"), "deploy/cluster-wide", image, more=[
        "patches:", f"- target: {{kind: {'|'.join(kinds)}}}", f"  patch: '{mark}'"])


def served(kube):
    """Namespaces other than the demo's with FlinkDeployments in them."""
    try:
        return sorted({cr["metadata"]["namespace"] for cr in kube.list("flinkdep")} - {HOME})
    except ApiError as e:
        if e.status != 404:
            raise
        return []


def clear(kube, step):
    """No namespace of an earlier run. Should its operator not be there to let go of its resources, they go without it."""
    def gone():
        return OWN not in dig(kube.get("namespace", None, HOME), "metadata.labels", {})
    if gone():
        return
    kube.delete("namespace", None, HOME)
    try:
        step.until(f"the end of namespace {HOME}", gone, 120, 0.5)
    except Failure:
        step.say("the operator does not let go of its resources: removing their finalizers")
        for kind in ("flinksnp", "sessionjob", "flinkdep"):
            for cr in kube.list(kind, HOME):
                kube.patch(kind, HOME, cr["metadata"]["name"], {"metadata": {"finalizers": None}})
        step.until(f"the end of namespace {HOME}", gone, 120, 0.5)


def start(words):
    """A command as the user would type it, in the background."""
    return subprocess.Popen(words, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
