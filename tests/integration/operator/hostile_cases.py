"""Resources that no one should have written: what is wrong with each, who refuses it, and in which words.

API       the API server refuses it by the definitions in crds/; `server` is what its message says
OPERATOR  the API server takes it, the operator refuses it in the status
FILE      a file that never becomes a resource; only `flink-operator validate` sees it

`validate` refuses all of them, with the same path and the same words as the operator.
"""
import json
from typing import NamedTuple

from lib.manifests import cluster, job, merge, snapshot as snapshot_of

API, OPERATOR, FILE = "API", "OPERATOR", "FILE"
MIB = 1 << 20


class Case(NamedTuple):
    title: str
    who: str
    path: str
    words: str
    server: str = ""  # who is API: words of its message, beside the path
    spec: object = None  # merged into that of a small valid resource
    job: bool = False  # a FlinkSessionJob, not a FlinkDeployment
    name: str = ""  # of the resource; by default one that is right
    text: str = ""  # who is FILE: all of it; %s is a valid resource as JSON
    snapshot: bool = False  # a FlinkStateSnapshot
    new: bool = False  # only of a new resource: one that is there may not be changed into the like, whatever else is wrong


def api(title, spec, path, words, server, **more):
    return Case(title, API, "spec." + path, words, server, spec, **more)


def op(title, spec, path, words, **more):
    return Case(title, OPERATOR, "spec." + path, words, "", spec, **more)


def conf(key, value, words, title="", path=""):
    return op(title or f"{key}: {value}", {"flinkConfiguration": {key: value}}, f"flinkConfiguration.{path or key}", words)


def template(title, spec, path, words, **more):
    """A podTemplate, of the JobManager, with this spec."""
    return op(title, {"jobManager": {"podTemplate": {"spec": spec, **more}}}, f"jobManager.podTemplate.{path}", words)


def main(**container):
    """The main container."""
    return {"containers": [{"name": "flink-main-container", **container}]}


def session_job(title, spec, path, words, who=OPERATOR, server=""):
    return Case(title, who, f"spec.job.{path}" if path else "spec.job", words, server, {"job": spec}, job=True)


def named(title, name, who=API, job=False, server=None):
    words = "lower-case letters, digits and '-'" if not job else "lower-case letters, digits, '-' and '.'"
    server = server or ("RFC 1123" if len(name) < 254 else "Invalid value")
    return Case(title, who, "metadata.name", words, server, {}, job, name)


def snapshot(title, spec, path, words, who=API, server=""):
    return Case(title, who, f"spec.{path}" if path else "spec", words, server or words, spec, snapshot=True)


def nested(levels):
    value = "deep"
    for _ in range(levels):
        value = {"a": value}
    return value


def of_type(name):
    return f"must be of type {name}"


JM, TM = "jobManager", "taskManager"
MAIN = "spec.containers[0]"

TYPES = [
    api("the image is a number", {"image": 7}, "image", "must be a string, found 7", of_type("string")),
    api("the JobManager is a list", {JM: []}, "jobManager", "must be a mapping, found a list", of_type("object")),
    api("the configuration is text", {"flinkConfiguration": "a: b"}, "flinkConfiguration", "must be a mapping", of_type("object")),
    api("replicas as a word", {JM: {"replicas": "two"}}, "jobManager.replicas", 'must be a whole number, found "two"',
        of_type("integer")),
    api("half a replica", {JM: {"replicas": 1.5}}, "jobManager.replicas", "must be a whole number, found 1.5", of_type("integer")),
    api("a number beyond 64 bits", {JM: {"replicas": 10**20}}, "jobManager.replicas", "must be a whole number", of_type("integer")),
    api("CPU in quotes", {JM: {"resource": {"cpu": "1"}}}, "jobManager.resource.cpu", 'must be a number, found "1"', of_type("number")),
    api("memory without quotes", {TM: {"resource": {"memory": 2048}}}, "taskManager.resource.memory",
        "must be a string, found 2048", of_type("string")),
    api("requests as a list", {TM: {"resources": {"requests": ["cpu"]}}}, "taskManager.resources.requests",
        "must be a mapping, found a list", of_type("object")),
    api("a request as a mapping", {TM: {"resources": {"limits": {"memory": {"min": 1}}}}}, "taskManager.resources.limits.memory",
        "must be a quantity", 'unknown field "spec.taskManager.resources.limits.memory.min"'),
    api("a time-out as a number", {"allocator": {"idleTimeout": 30}}, "allocator.idleTimeout",
        "must be a duration such as", of_type("string")),
    api("networkPolicy: yes, in quotes", {"exposure": {"auth": {"type": "None"}, "networkPolicy": "yes"}},
        "exposure.networkPolicy", 'must be true or false, found "yes"', of_type("boolean")),
    api("a log file as a mapping", {"logConfiguration": {"log4j-console.properties": {}}},
        "logConfiguration.log4j-console.properties", "must be a string", of_type("string")),
    api("an annotation as a number", {"ingress": {"template": "a.b", "annotations": {"a": 1}}}, "ingress.annotations.a",
        "must be a string, found 1", of_type("string")),
    api("a nonce as a word", {"restartNonce": "again"}, "restartNonce", 'must be a whole number, found "again"', of_type("integer")),
    api("a pod template as text", {"podTemplate": "spec: {}"}, "podTemplate", "must be a mapping", of_type("object")),
    api("a field that is not there", {"jobmanager": {"replicas": 1}}, "jobmanager", "is not a known field",
        'unknown field "spec.jobmanager"'),
    api("the same one deep inside", {TM: {"resource": {"cpus": 1}}}, "taskManager.resource.cpus", "is not a known field",
        'unknown field "spec.taskManager.resource.cpus"'),
    Case("no spec at all", OPERATOR, "spec", "must be a mapping, found nothing", spec=...),
]

CHOICES = [
    api("a Flink of the future", {"flinkVersion": "v9_9"}, "flinkVersion", "is not a known Flink version", "Unsupported value"),
    op("a Flink of the past", {"flinkVersion": "v1_14"}, "flinkVersion", "is no longer supported"),
    op("no Flink version", {"flinkVersion": None}, "flinkVersion", "must be set to one of"),
    api("an unknown mode", {"mode": "magic"}, "mode", "must be one of native, standalone", "Unsupported value"),
    api("an unknown allocator", {"allocator": {"type": "Magic"}}, "allocator.type", "must be one of Operator, Flink",
        "Unsupported value"),
    op("Flink's own allocator for an application without a JAR", {"allocator": {"type": "Flink"}, "job": {"entryClass": "a.B"}},
       "job.jarURI", "must be given where Flink's own allocator", new=True),
    op("an unknown pull policy", {"imagePullPolicy": "Sometimes"}, "imagePullPolicy", "must be one of IfNotPresent, Always, Never"),
]

SIZES = [
    api("no replicas", {JM: {"replicas": 0}}, "jobManager.replicas", "must be between 1 and 1000000, found 0", "greater than or equal to 1"),
    op("replicas beyond 2^53", {JM: {"replicas": 2**53 + 1}}, "jobManager.replicas", "found 9007199254740993"),
    op("two JobManagers without HA", {JM: {"replicas": 2}}, "jobManager.replicas", "must be 1 unless high-availability.type is set"),
    op("negative CPU", {JM: {"resource": {"cpu": -1}}}, "jobManager.resource.cpu", "is negative"),
    op("CPU of a galaxy", {JM: {"resource": {"cpu": 1e300}}}, "jobManager.resource.cpu", "at most 1000000"),
    op("memory in words", {JM: {"resource": {"memory": "lots"}}}, "jobManager.resource.memory", '"lots" is not a memory size'),
    op("negative memory", {JM: {"resource": {"memory": "-1g"}}}, "jobManager.resource.memory", "is negative"),
    op("memory beyond 64 bits", {JM: {"resource": {"memory": "99999999999g"}}}, "jobManager.resource.memory", "is too large"),
    op("memory of a galaxy", {JM: {"resource": {"memory": "7000000000g"}}}, "jobManager.resource.memory", "at most 1Pi"),
    op("memory too small for Flink", {TM: {"resource": {"memory": "10m"}}}, "taskManager", "memory:"),
    op("ephemeral storage in words", {TM: {"resource": {"ephemeralStorage": "a disk"}}}, "taskManager.resource.ephemeralStorage",
       '"a disk" is not a memory size'),
    op("a limit below the request", {TM: {"resources": {"requests": {"memory": "2Gi", "cpu": 1}, "limits": {"memory": "1Gi"}}}},
       "taskManager.resources.limits.memory", 'must not be less than the request (2Gi), found "1Gi"'),
    op("a request that is no quantity", {TM: {"resources": {"requests": {"cpu": "one"}}}}, "taskManager.resources.requests.cpu",
       '"one" is not a quantity'),
    op("a GPU that is no quantity", {TM: {"resources": {"limits": {"nvidia.com/gpu": "all"}}}},
       "taskManager.resources.limits.nvidia.com/gpu", '"all" is not a quantity'),
    op("more TaskManagers at least than at most", {"allocator": {"minTaskManagers": 5, "maxTaskManagers": 2}},
       "allocator.minTaskManagers", "must not be larger than maxTaskManagers (2), found 5"),
    api("fewer than no TaskManagers", {"allocator": {"maxTaskManagers": -1}}, "allocator.maxTaskManagers",
        "must be between 0 and 1000000, found -1", "should be greater than or equal to 0"),
    op("TaskManagers for a planet", {"allocator": {"maxTaskManagers": 10**9}}, "allocator.maxTaskManagers", "between 0 and 1000000"),
    op("an allocator's policy without an allocator", {"mode": "standalone", "allocator": {"maxTaskManagers": 2}}, "allocator",
       "has no effect in mode standalone", new=True),
    op("a time-out in words", {"allocator": {"idleTimeout": "soon"}}, "allocator.idleTimeout", "soon"),
    op("a time-out of an age", {"allocator": {"startTimeout": "9223372036854775807 ms"}}, "allocator.startTimeout", "9223372036854775807"),
    op("an image of 1 MiB", {"image": "x" * MIB}, "image", "is too large"),
    op("an image of 2,000 characters", {"image": "x" * 2000}, "image", "must be a container image"),
    op("a pod template of 1 MiB", {"podTemplate": {"spec": main(env=[{"name": "A", "value": "x" * MIB}])}}, "podTemplate",
       "at most 393216 are possible"),
    op("a pod template 120 levels deep", {"podTemplate": {"spec": {"affinity": nested(120)}}},
       "podTemplate.spec.affinity.a.a.a.a", "is nested more than 100 levels deep"),
    op("a mapping with 5,000 members", {"podTemplate": {"metadata": {"labels": {f"l{i}": "" for i in range(5000)}}}},
       "podTemplate.metadata.labels", "has 5000 members, at most 4096 are possible"),
]

NAMES = [
    named("a name of 46 characters", "h" * 46, server="at most 45"),
    named("a name of 63 characters", "h" * 63, server="at most 45"),
    named("a name of 253 characters", "h" * 253, server="at most 45"),
    named("a name of 254 characters", "h" * 254, API),
    named("a name with capitals", "Hostile", API),
    named("a name that starts with a digit", "1hostile", server="starting with a letter"),
    named("a name with dots", "host.ile", server="at most 45"),
    named("a name that ends with -", "hostile-", API),
    named("an emoji as a name", "h\U0001f4a3", API),
    named("a job's name with an underscore", "host_ile", API, job=True),
    op("a service account with capitals", {"serviceAccount": "Flink User"}, "serviceAccount", "must be the name of a ServiceAccount"),
]

UNICODE = [
    op("an image from right to left", {"image": "flink:\u202e02.1"}, "image", "must be a container image"),
    op("an image with an emoji", {"image": "flink:\U0001f680"}, "image", "must be a container image"),
    op("an image with a NUL", {"image": "flink\x00:1.20"}, "image", "NUL character"),
    Case("half a surrogate pair", FILE, "spec.serviceAccount", "half of a surrogate pair",
         text='{"apiVersion": "flink.apache.org/v1beta1", "kind": "FlinkDeployment", "spec": {"serviceAccount": "flink\\ud83d"}}'),
    op("a NUL deep in a template", {"podTemplate": {"spec": main(args=["a", "b\x00c"])}}, f"podTemplate.{MAIN}.args[1]", "NUL character"),
    template("a label with a combining character", {}, "metadata.labels.team", "must be at most 63 letters",
             metadata={"labels": {"team": "cafe\u0301"}}),
]

CONFIGURATION = [
    conf("kubernetes.cluster-id", "other", "is set by the operator; remove it"),
    op("the same, nested", {"flinkConfiguration": {"kubernetes": {"namespace": "other"}}}, "flinkConfiguration.kubernetes.namespace",
       "is set by the operator"),
    conf("pipeline.name", "a\nb", "a line break cannot be part of a value in flink-conf.yaml"),
    conf("pipeline.name", "job #1", "'#' would start a comment in flink-conf.yaml"),
    conf("a#b", "c", "cannot be part of a key in flink-conf.yaml"),
    conf("metrics.reporters", ["a", ["b"]], "a list in a list means nothing to Flink"),
    op("a key of 1,500 bytes", {"flinkConfiguration": {"k" * 1500: "v"}}, "flinkConfiguration." + "k" * 300, "a key of more than 1000 bytes"),
    op("4,500 keys", {"flinkConfiguration": {f"k{i}": i for i in range(4500)}}, "flinkConfiguration",
       "has 4503 members, at most 4096"),
    conf("taskmanager.numberOfTaskSlots", "many", 'found "many", must be a whole number'),
    conf("taskmanager.numberOfTaskSlots", 2.5, 'found "2.5", must be a whole number'),
    conf("taskmanager.numberOfTaskSlots", 0, "must be between 1 and 100000, found 0"),
    conf("rest.port", 70000, "must be between 1 and 65535, found 70000"),
    conf("resourcemanager.taskmanager-timeout", "soon", "must be a duration"),
    conf("slot.request.timeout", "soon", "must be a duration"),
    conf("pipeline.jobvertex-parallelism-overrides", "source:2", "32 hex digits"),
    conf("pipeline.jobvertex-parallelism-overrides", "0123456789abcdef0123456789abcdef:many", "a whole number from 1 to 32768"),
    conf("kubernetes.taskmanager.cpu.limit-factor", "1e300", "must be between 1 and 1000, found 1e+300"),
    conf("kubernetes.taskmanager.memory.limit-factor", 0.5, "must be between 1 and 1000, found 0.5"),
    conf("kubernetes.jobmanager.labels", "a", "must be a map like"),
    conf("kubernetes.jobmanager.labels", "team:a b", "must be at most 63 letters", path="kubernetes.jobmanager.labels.team"),
    conf("kubernetes.jobmanager.annotations", "a b:c", "must be a key such as", path="kubernetes.jobmanager.annotations.a b"),
    conf("kubernetes.taskmanager.tolerations", "spot", "must be a list of maps"),
    conf("kubernetes.taskmanager.tolerations", "key:a,effekt:NoSchedule", '"effekt" is no part of a toleration'),
    conf("kubernetes.taskmanager.node-selector", "zone", "must be a map like"),
    conf("kubernetes.env.secretKeyRef", "env:A,secret:s", 'one has no "key"'),
    conf("kubernetes.secrets", "s:not/a/path", "must be followed by a path", path="kubernetes.secrets.s"),
    conf("kubernetes.container.image.pull-secrets", "Not_A_Secret", "must be the name of a Secret",
         path="kubernetes.container.image.pull-secrets[0]"),
    conf("kubernetes.container.image.pull-policy", "Sometimes", "must be one of IfNotPresent, Always, Never"),
    conf("kubernetes.rest-service.exposed.type", "Magic", "must be one of ClusterIP, NodePort"),
    conf("kubernetes.hostnetwork.enabled", "perhaps", "must be true or false"),
    conf("kubernetes.service-account", "Flink User", "must be the name of a ServiceAccount"),
    conf("kubernetes.operator.jm-deployment.startup.probe.enabled", "perhaps", "must be true or false"),
    conf("kubernetes.operator.deployment.rollback.enabled", "true", "needs high-availability.type"),
    conf("kubernetes.operator.deployment.readiness.timeout", "soon", "must be a duration"),
    conf("kubernetes.operator.job.restart.failed", "perhaps", "must be true or false"),
    conf("kubernetes.operator.jm-deployment.shutdown-ttl", "soon", "must be a duration"),
    conf("kubernetes.operator.periodic.savepoint.interval", "0 3 * * *", "a cron expression has 6 or 7 fields"),
    conf("kubernetes.operator.periodic.checkpoint.interval", "0 0 25 * * ?", 'the field "hours" may have numbers'),
    conf("kubernetes.operator.jm-deployment-recovery.enabled", "perhaps", "must be true or false"),
    conf("kubernetes.operator.cluster.health-check.restarts.threshold", "many", "must be"),
    conf("kubernetes.operator.cluster.health-check.restarts.window", "long", "must be"),
    conf("containerized.master.env.1A", "x", "must end with the name of an environment variable"),
]

TEMPLATES = [
    template("the main container as a string", {"containers": "flink-main-container"}, "spec.containers", "must be a list, found"),
    template("the same in a list", {"containers": ["flink-main-container"]}, "spec.containers[0]", "must be a mapping, found"),
    template("env as a mapping", main(env={"A": "b"}), f"{MAIN}.env", "must be a list, found a mapping"),
    template("env with a number", main(env=[{"name": "A", "value": 1}]), f"{MAIN}.env[0].value", "must be a string, found 1"),
    template("env with a name twice", main(env=[{"name": "A"}, {"name": "A"}]), f"{MAIN}.env[1].name", "must not stand twice"),
    template("volumes as text", {"volumes": "data"}, "spec.volumes", "must be a list"),
    template("a volume without a name", {"volumes": [{"emptyDir": {}}]}, "spec.volumes[0].name", "must be given"),
    template("a volume with capitals", {"volumes": [{"name": "My Data", "emptyDir": {}}]}, "spec.volumes[0].name", "must be at most 63"),
    template("a container with a name that is none", {"containers": [{"name": "side_car", "image": "a"}]},
             "spec.containers[0].name", "must be at most 63 lower-case"),
    template("a sidecar without an image", {"containers": [{"name": "sidecar"}]}, "spec.containers[0].image", "must be given"),
    template("arguments as text", main(args="--verbose"), f"{MAIN}.args", "must be a list of strings"),
    template("arguments as numbers", main(command=["sleep", 5]), f"{MAIN}.command[1]", "must be a string, found 5"),
    template("a port as text", main(ports=[{"containerPort": "http"}]), f"{MAIN}.ports[0].containerPort", "must be a whole number"),
    template("a container's CPU in words", main(resources={"limits": {"cpu": "one"}}), f"{MAIN}.resources.limits.cpu", "is not a quantity"),
    template("a node selector with a number", {"nodeSelector": {"zone": 1}}, "spec.nodeSelector.zone", "must be a string, found 1"),
    template("annotations of 300 KiB", {}, "metadata.annotations", "must have at most 262144 bytes",
             metadata={"annotations": {"a": "x" * 300 * 1024}}),
]

EXPOSURE = [
    api("an Ingress without a template", {"ingress": {"className": "nginx"}}, "ingress.template", "must be given", "must be given"),
    op("a template that makes no host", {"ingress": {"template": "Bad_Host!/{{name}}"}}, "ingress.template", "is not a DNS name"),
    op("a template with an impossible port", {"ingress": {"template": "http://a.b:99999/"}}, "ingress.template", "is not a DNS name"),
    op("another scheme", {"ingress": {"template": "ftp://{{name}}.example.com"}}, "ingress.template", "is not a DNS name"),
    op("an Ingress class that is no name", {"ingress": {"template": "a.b", "className": "my class"}}, "ingress.className",
       "must be the name of a IngressClass"),
    api("tls as text", {"ingress": {"template": "a.b", "tls": "yes"}}, "ingress.tls", "must be a list", of_type("array")),
    api("everywhere", {"exposure": {"type": "Everywhere"}}, "exposure.type", "must be one of Auto, Route, Ingress, None",
        "Unsupported value"),
    api("no word about a login", {"exposure": {"type": "Route"}}, "exposure.auth", "must be given; {type: None}", "must be given"),
    op("a host with capitals", {"exposure": {"host": "Flink.EXAMPLE.com", "auth": {"type": "None"}}}, "exposure.host",
       "must be a DNS name in lower case"),
    api("a host of 254 characters", {"exposure": {"host": "a" * 254, "auth": {"type": "None"}}}, "exposure.host",
        "must be a DNS name", "may not be more than 253"),
    op("no time at all", {"exposure": {"timeout": "0 s", "auth": {"type": "None"}}}, "exposure.timeout", "must be between 1"),
    op("TLS that Flink does not speak", {"exposure": {"tls": {"termination": "passthrough"}, "auth": {"type": "None"}}},
       "exposure.tls.termination", "must be edge without a login"),
    op("a label with blanks", {"exposure": {"labels": {"router": "in side"}, "auth": {"type": "None"}}}, "exposure.labels.router",
       "must be at most 63 letters"),
]

JOBS = [
    Case("a job of no cluster", API, "spec.deploymentName", "must name the FlinkDeployment", "must be at most 45", spec={"deploymentName": None}, job=True),
    Case("a cluster that cannot be", API, "spec.deploymentName", "lower-case letters", "lower-case letters", spec={"deploymentName": "No_Cluster"}, job=True),
    session_job("no job", None, "", "must be given", API, "must be given"),
    session_job("parallelism 0", {"parallelism": 0}, "parallelism", "must be between 1 and 32768, found 0"),
    session_job("parallelism -4", {"parallelism": -4}, "parallelism", "must be between 1 and 32768, found -4"),
    session_job("parallelism in quotes", {"parallelism": "4"}, "parallelism", 'must be a whole number, found "4"', API, of_type("integer")),
    session_job("arguments as text", {"args": "--fast"}, "args", 'must be a list, found "--fast"', API, of_type("array")),
    session_job("an argument as a number", {"args": ["--rate", 5]}, "args[1]", "must be a string, found 5", API, of_type("string")),
    session_job("an unknown state", {"state": "paused"}, "state", "must be one of running, suspended", API, "Unsupported value"),
    session_job("an unknown upgrade", {"upgradeMode": "magic"}, "upgradeMode", "must be one of stateless", API, "Unsupported value"),
    session_job("no JAR", {"jarURI": ""}, "jarURI", "must be given"),
    session_job("a JAR of the host", {"jarURI": "file:///etc/passwd"}, "jarURI", 'scheme "file" is not allowed'),
    session_job("a JAR from a gopher", {"jarURI": "gopher://example.com/job.jar"}, "jarURI", 'scheme "gopher" is not allowed'),
    session_job("a JAR that is no URI", {"jarURI": "job.jar"}, "jarURI", "must be a URI such as"),
    session_job("a JAR elsewhere in the image", {"jarURI": "local:///etc/job.jar"}, "jarURI", "must name a .jar below"),
    session_job("a JAR with a password", {"jarURI": "https://me:hunter2@example.com/job.jar"}, "jarURI",
                "must not hold a user name or password"),
    session_job("a JAR with a line break", {"jarURI": "https://example.com/job.jar\r\nHost: evil"}, "jarURI",
                "must be a URI without blanks and control characters"),
]

SNAPSHOTS = [
    snapshot("a savepoint and a checkpoint", {"checkpoint": {}}, "", "exactly one of savepoint and checkpoint must be given"),
    snapshot("a snapshot of a Deployment", {"jobReference": {"kind": "Deployment"}}, "jobReference.kind",
             "must be one of FlinkDeployment, FlinkSessionJob", server="Unsupported value"),
    snapshot("a snapshot of nothing", {"jobReference": {"name": ""}}, "jobReference", "must be given with kind and name"),
    snapshot("a snapshot of what cannot be", {"jobReference": {"name": "No_Job"}}, "jobReference.name", "lower-case letters", OPERATOR),
    snapshot("a savepoint somewhere", {"savepoint": {"alreadyExists": True}}, "savepoint.path",
             "must name the savepoint that exists already"),
    snapshot("a fast savepoint", {"savepoint": {"formatType": "FAST"}}, "savepoint.formatType", "must be one of CANONICAL, NATIVE",
             server="Unsupported value"),
    snapshot("a savepoint of an unknown format", {"savepoint": {"formatType": "UNKNOWN"}}, "savepoint.formatType",
             "UNKNOWN is for a savepoint that exists already"),
    snapshot("failures in quotes", {"backoffLimit": "3"}, "backoffLimit", 'must be a whole number, found "3"',
             server=of_type("integer")),
    snapshot("failures without number", {"backoffLimit": 1 << 40}, "backoffLimit", "must be between", OPERATOR),
    snapshot("a folder that is a number", {"savepoint": {"path": 7}}, "savepoint.path", "must be a string, found 7",
             server=of_type("string")),
]

FILES = [
    Case("a key that stands twice", FILE, "spec.image", "stands twice",
         text="apiVersion: flink.apache.org/v1beta1\nkind: FlinkDeployment\nmetadata: {name: a}\nspec:\n  image: a\n  image: b\n"),
    Case("a key that stands twice, in JSON", FILE, "spec.image", "stands twice",
         text='{"kind": "FlinkDeployment", "spec": {"image": "a", "image": "b"}}'),
    Case("YAML 250 levels deep", FILE, "spec.podTemplate.a.a", "nested more than 200 levels deep",
         text="kind: FlinkDeployment\nspec:\n  podTemplate: " + "{a: " * 250 + "1" + "}" * 250),
    Case("YAML with a NUL", FILE, "spec.image", "a NUL character in a string", text='kind: FlinkDeployment\nspec: {image: "a\\0b"}\n'),
    Case("a member that no pod has", FILE, "spec.podTemplate.spec.nodeSelektor", "is not a known field of Kubernetes",
         text="apiVersion: flink.apache.org/v1beta1\nkind: FlinkDeployment\nspec: {podTemplate: {spec: {nodeSelektor: {}}}}\n"),
    Case("a kind that is misspelled", FILE, "kind", "must be FlinkDeployment, FlinkSessionJob or FlinkStateSnapshot",
         text="apiVersion: flink.apache.org/v1beta1\nkind: FlinkDeploymnet\n"),
    Case("a version of the API that is not there", FILE, "apiVersion", "must be flink.apache.org/v1beta1",
         text="apiVersion: flink.apache.org/v1\nkind: FlinkDeployment\n"),
]

CASES = [*TYPES, *CHOICES, *SIZES, *NAMES, *UNICODE, *CONFIGURATION, *TEMPLATES, *EXPOSURE, *JOBS, *SNAPSHOTS, *FILES]

# At the limit, and right.
GOOD = [
    Case("a name of 45 characters", OPERATOR, "", "", spec={}, name="h" * 45),
    Case("a nonce beyond 2^53", OPERATOR, "", "", spec={"restartNonce": 2**53 + 1}),
    Case("an emoji in the configuration", OPERATOR, "", "", spec={"flinkConfiguration": {"pipeline.name": "\U0001f680 \u05d0"}}),
    Case("whole numbers as floats", OPERATOR, "", "", spec={JM: {"replicas": 1.0}}),
    Case("a fixed number of TaskManagers", OPERATOR, "", "", spec={"mode": "standalone", "allocator": None, TM: {"replicas": 2}}),
    Case("a null is nothing", OPERATOR, "", "", spec={"allocator": None, "podTemplate": None}),
    Case("a job with a long name", OPERATOR, "", "", spec={}, job=True, name="h" * 253),
]


def resource(ns, number, case):
    """The resource of a case: of that name, in that namespace."""
    name = case.name or f"h{number}"
    if case.snapshot:
        whole = snapshot_of(ns, name, "calm-job")
    else:
        whole = job(ns, name, deployment="calm-a") if case.job else cluster(ns, name)
    return {**whole, "spec": merge(whole["spec"], case.spec)} if case.spec is not ... else \
        {k: v for k, v in whole.items() if k != "spec"}


def as_json(number, case, ns="default"):
    return case.text or json.dumps(resource(ns, number, case))
