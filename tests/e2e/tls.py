"""Flink's REST endpoint with TLS, where who asks has to show a certificate."""
import base64
import os
import subprocess

from lib.check import check, equal, wait
from lib.manifests import cluster, job
from lib.operator import NAMESPACE, REPLICAS
from lib.suite import test
from scene import UP, cluster_ready, condition, job_ready, jobmanager
from web import Web

PASSWORD = "changeit"
SECRET = "flink-operator-flink-tls"


class Authority:
    def __init__(self, folder, name):
        self.folder, self.name = folder, name
        self.openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={name}",
                     "-keyout", f"{name}.key", "-out", f"{name}.crt")

    def openssl(self, *words):
        subprocess.run(["openssl", *words], cwd=self.folder, check=True, capture_output=True)

    def certify(self, name, alt):
        """NAME.crt and NAME.key."""
        # RSA: the cipher suite that Flink 1.20 takes by itself can be had with no other key.
        self.openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.csr")
        with open(os.path.join(self.folder, f"{name}.ext"), "w", encoding="utf-8") as f:
            f.write(f"subjectAltName={alt}\n")
        self.openssl("x509", "-req", "-in", f"{name}.csr", "-CA", f"{self.name}.crt", "-CAkey", f"{self.name}.key",
                     "-CAcreateserial", "-days", "2", "-extfile", f"{name}.ext", "-out", f"{name}.crt")

    def read(self, name):
        with open(os.path.join(self.folder, name), "rb") as f:
            return f.read()


def secret(run, ns, name, **files):
    run.kube.apply({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": ns},
                    "data": {k: base64.b64encode(v).decode() for k, v in files.items()}})


def told(run, words):
    cr = run.kube.get("flinkdep", run.ns, "demo")
    message = condition(cr).get("message", "")
    check(words in message, message)
    return message


def restart(run):
    """With what the Secrets hold now."""
    run.operator.scale(0)
    wait("the operator's pods gone", lambda: not run.kube.list("pod", NAMESPACE), 60)
    run.operator.scale(REPLICAS)
    run.operator.wait()


@test("REST by TLS with client certificates: what is wrong with them is told; then a session job runs and the cluster goes", full=True)
def mutual(run):
    os.makedirs(run.dir, exist_ok=True)
    ours, stranger = Authority(run.dir, "ours"), Authority(run.dir, "stranger")
    ours.certify("flink", f"DNS:*.{run.ns}.svc")
    ours.certify("operator", "DNS:operator")
    ours.openssl("pkcs12", "-export", "-in", "flink.crt", "-inkey", "flink.key", "-name", "flink", "-passout", f"pass:{PASSWORD}",
                 "-out", "keystore.p12")
    subprocess.run(["keytool", "-importcert", "-noprompt", "-alias", "ca", "-file", "ours.crt", "-keystore", "truststore.p12",
                    "-storetype", "PKCS12", "-storepass", PASSWORD], cwd=run.dir, check=True, capture_output=True)
    secret(run, run.ns, "flink-tls", **{n: ours.read(n) for n in ("keystore.p12", "truststore.p12")})
    run.cleanup(restart, run)
    run.cleanup(run.kube.delete, "secret", NAMESPACE, SECRET)
    secret(run, NAMESPACE, SECRET, **{"ca.crt": stranger.read("stranger.crt")})
    restart(run)
    ssl = "security.ssl.rest."
    run.kube.apply(cluster(run.ns, conf={
        f"{ssl}enabled": "true", f"{ssl}authentication-enabled": "true",
        f"{ssl}keystore": "/opt/flink/tls/keystore.p12", f"{ssl}keystore-password": PASSWORD, f"{ssl}key-password": PASSWORD,
        f"{ssl}truststore": "/opt/flink/tls/truststore.p12", f"{ssl}truststore-password": PASSWORD,
    }, podTemplate={"spec": {
        "containers": [{"name": "flink-main-container", "volumeMounts": [{"name": "tls", "mountPath": "/opt/flink/tls"}]}],
        "volumes": [{"name": "tls", "secret": {"secretName": "flink-tls"}}]}}))
    wait("another authority is told", lambda: told(run, "/etc/flink-tls/ca.crt"), UP)
    secret(run, NAMESPACE, SECRET, **{"ca.crt": ours.read("ours.crt")})
    restart(run)
    wait("a missing certificate is told", lambda: told(run, "Flink asks for a client's certificate"), UP)
    secret(run, NAMESPACE, SECRET, **{"ca.crt": ours.read("ours.crt"), "tls.crt": ours.read("operator.crt"),
                                      "tls.key": ours.read("operator.key")})
    cluster_ready(run, seconds=180)  # a mounted Secret follows within a minute and a half, without a restart
    probe = next(c for c in jobmanager(run)["spec"]["containers"] if c["name"] == "flink-main-container")["startupProbe"]
    equal(probe.get("tcpSocket"), {"port": "rest"}, "the kubelet's probe")
    web = Web(run)
    web.job_jar(run, jobmanager(run)["metadata"]["name"])
    run.kube.apply(job(run.ns, "first", jar=web.url("job.jar")))  # so it is uploaded, too
    cr = job_ready(run, "first")
    equal(cr["status"]["jobStatus"]["state"], "RUNNING", "the job, as Flink says by TLS")
    run.kube.delete("sessionjob", run.ns, "first")
    run.kube.delete("flinkdep", run.ns, "demo")
    wait("the cluster is gone", lambda: run.kube.get("flinkdep", run.ns, "demo") is None, 90)
