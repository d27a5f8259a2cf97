"""All that can be known about some namespaces, in files: for whoever has to find out why a test failed."""
import json
import os


def collect(kube, folder, namespaces):
    os.makedirs(folder, exist_ok=True)

    def save(name, *words):
        text = kube.kubectl(*words, fail=False, timeout=60)
        if text.strip():
            with open(os.path.join(folder, name), "w", encoding="utf-8") as f:
                f.write(text)

    for ns in namespaces:
        save(f"{ns}.objects.txt", "get", "-n", ns, "-o", "wide",
             "flinkdep,sessionjob,flinksnp,deployment,pod,service,configmap,resourcequota")
        save(f"{ns}.describe.txt", "describe", "-n", ns, "flinkdep,sessionjob,flinksnp,pod,deployment")
        save(f"{ns}.resources.yaml", "get", "-n", ns, "-o", "yaml", "flinkdep,sessionjob,flinksnp,deployment,pod")
        save(f"{ns}.events.txt", "get", "events", "-n", ns, "--sort-by=.lastTimestamp")
        for pod in kube.list("pod", ns):
            name = pod["metadata"]["name"]
            save(f"{ns}.{name}.log", "logs", "-n", ns, name, "--all-containers", "--tail=2000")
            if any(s.get("restartCount") for s in pod.get("status", {}).get("containerStatuses", [])):
                save(f"{ns}.{name}.previous.log", "logs", "-n", ns, name, "--previous", "--tail=2000")


def describe(kube, kind, ns, name):
    """kubectl describe, and the conditions once more in one line each."""
    cr = kube.get(kind, ns, name)
    lines = [json.dumps(c) for c in (cr or {}).get("status", {}).get("conditions", [])]
    return kube.kubectl("describe", kind, "-n", ns, name, fail=False) + "\n".join(lines)
