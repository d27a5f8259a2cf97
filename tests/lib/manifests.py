"""FlinkDeployments, FlinkSessionJobs and FlinkStateSnapshots, short to write. Pods ask for little CPU and are not held back:
the bed has few cores, and a JVM that is throttled takes minutes to start."""

VERSIONS = {"1.18": "v1_18", "1.20": "v1_20", "2.2": "v2_2"}
API = "flink.apache.org/v1beta1"
JAR = "local:///opt/flink/usrlib/bed-jobs.jar"


def merge(into, more):
    """Objects deeply, all else by replacement."""
    if not isinstance(into, dict) or not isinstance(more, dict):
        return more
    return {**into, **{k: merge(into.get(k), v) for k, v in more.items()}}


def cluster(ns, name="demo", version="1.20", slots=1, idle="3s", conf=None, **spec):
    """A session cluster; further arguments are members of its spec."""
    return {
        "apiVersion": API,
        "kind": "FlinkDeployment",
        "metadata": {"name": name, "namespace": ns},
        "spec": merge({
            "image": f"flink:{version}",
            "flinkVersion": VERSIONS[version],
            "flinkConfiguration": {
                "taskmanager.numberOfTaskSlots": str(slots),
                "kubernetes.jobmanager.cpu.limit-factor": "20",
                "kubernetes.taskmanager.cpu.limit-factor": "20",
                **(conf or {}),
            },
            "jobManager": {"resource": {"memory": "1024m", "cpu": 0.1}},
            "taskManager": {"resource": {"memory": "1024m", "cpu": 0.1}},
            "allocator": {"idleTimeout": idle},
        }, spec),
    }


def job(ns, name, deployment="demo", parallelism=1, args=(), jar=JAR, entry="BedJob", **more):
    """A FlinkSessionJob; further arguments are members of spec.job."""
    return {
        "apiVersion": API,
        "kind": "FlinkSessionJob",
        "metadata": {"name": name, "namespace": ns},
        "spec": {
            "deploymentName": deployment,
            "job": {"jarURI": jar, "entryClass": entry, "parallelism": parallelism, "upgradeMode": "stateless",
                    "args": ["--name", name, *args], **more},
        },
    }


def snapshot(ns, name="backup", of="first", kind="FlinkSessionJob", checkpoint=False, limit=None, **savepoint):
    """A FlinkStateSnapshot; further arguments are members of spec.savepoint. of: None for no job."""
    return {
        "apiVersion": API,
        "kind": "FlinkStateSnapshot",
        "metadata": {"name": name, "namespace": ns},
        "spec": {
            **({"jobReference": {"kind": kind, "name": of}} if of else {}),
            **({"checkpoint": {}} if checkpoint else {"savepoint": savepoint}),
            **({} if limit is None else {"backoffLimit": limit}),
        },
    }


def application(ns, name="demo", parallelism=1, args=(), jar=JAR, entryClass="BedJob", job=None, **spec):
    """An application cluster; job: further members of spec.job, further arguments as of cluster()."""
    return cluster(ns, name, job={
        "jarURI": jar, "entryClass": entryClass, "parallelism": parallelism, "upgradeMode": "stateless",
        "args": ["--name", name, *args], **(job or {})}, **spec)


def hold(path="/flink-data"):
    """A podTemplate that mounts the bed's data folder."""
    return {"spec": {
        "containers": [{"name": "flink-main-container", "volumeMounts": [{"name": "data", "mountPath": path}]}],
        "volumes": [{"name": "data", "hostPath": {"path": "/flink-data", "type": "Directory"}}],
    }}
