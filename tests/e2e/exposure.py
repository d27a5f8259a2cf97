"""The web interface from outside, by a real ingress controller."""
import json
import os
import subprocess

from lib.check import check, dig, equal, wait
from lib.manifests import cluster
from lib.suite import test
from scene import SOON, condition, session
from web import ADDRESS
from world import need_bed

PORT = 18088
CLASS = {"apiVersion": "networking.k8s.io/v1", "kind": "IngressClass", "metadata": {"name": "traefik"},
         "spec": {"controller": "traefik.io/ingress-controller"}}


class Traefik:
    """In the bed's network, as its administrator; it tells where it can be reached in the status of each Ingress."""

    def __init__(self, run):
        bed = need_bed(run)
        program = bed("traefik", timeout=3600).strip()
        os.makedirs(run.dir, exist_ok=True)
        with open(os.path.join(run.dir, "traefik.log"), "wb") as log:
            self.process = bed.start(
                program, f"--entrypoints.web.address=:{PORT}", "--log.level=INFO", "--providers.kubernetesingress.ingressclass=traefik",
                f"--providers.kubernetesingress.ingressendpoint.ip={ADDRESS}", "--providers.providersthrottleduration=0.1s",
                "--global.checknewversion=false", "--global.sendanonymoususage=false",
                env=dict(os.environ, KUBECONFIG=bed.kubeconfig), stdout=log, stderr=subprocess.STDOUT)
        run.cleanup(self.stop)

    def stop(self):
        self.process.kill()
        self.process.wait()


def ask(bed, host, path):
    """HTTP status and body of a GET through the controller."""
    done = subprocess.run([*bed.command, "exec", "curl", "-s", "-m", "10", "-w", "\n%{http_code}", "-H", f"Host: {host}",
                           f"http://{ADDRESS}:{PORT}{path}"], check=False, capture_output=True, text=True)
    body, _, code = done.stdout.rpartition("\n")
    return int(code or 0), body


@test("an Ingress by a real controller: Flink answers at its URL, which the status says is admitted; removed: it does not",
      full=True, timeout=3600)
def ingress_controller(run):
    bed = need_bed(run)
    Traefik(run)
    run.kube.apply(CLASS)
    run.cleanup(run.kube.kubectl, "delete", "ingressclass", "traefik")
    session(run, cluster(run.ns, ingress={"template": "{{name}}.{{namespace}}.example.com", "className": "traefik"}))
    host = f"demo.{run.ns}.example.com"

    def admitted():
        cr = run.kube.get("flinkdep", run.ns, "demo")
        equal(dig(cr, "status.endpoints.ui"), {"url": f"http://{host}/", "admitted": True}, "status.endpoints.ui")
        equal(condition(cr, "Exposed").get("status"), "True", "Exposed")
        return True
    wait("the status says that it is admitted", admitted, SOON)

    def answers():
        code, body = ask(bed, host, "/overview")
        check(code == 200 and json.loads(body)["flink-version"], f"{code} {body[:200]}")
        return True
    wait("Flink answers at its URL", answers, SOON)
    equal(ask(bed, "other.example.com", "/overview")[0], 404, "another host")
    run.kube.patch("flinkdep", run.ns, "demo", {"spec": {"ingress": None}})
    wait("it does not any more", lambda: ask(bed, host, "/overview")[0] == 404, SOON)
    equal(dig(run.kube.get("flinkdep", run.ns, "demo"), "status.endpoints"), None, "status.endpoints")
