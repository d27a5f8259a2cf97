"""Figures beside what they should be: one table, and a line of JSON for each."""
import datetime
import json
import math
import os
import statistics
import subprocess

from lib.bed import ROOT

# The most that each may be. Some are a share of what the incumbent, the Java operator 1.15, took on a bed like this one.
TARGETS = {
    "start to ready, no clusters": 100,
    "resident memory, no clusters": 16,
    "resident memory, 100 clusters": 18,
    "resident memory, 1,000 clusters": 24,
    "resident memory, 5,000 clusters": 56,
    "stripped binary": 2,
    "compressed container image": 30,
    "apply to JobManager Deployment exists, p50": 30,
    "apply to JobManager Deployment exists, p99": 100,
    "API requests for a new cluster, events apart": 7,
    "status writes for a new cluster": 2,
    "1,000 clusters, from the first apply to all READY": 0.4 * 219,
    "API reads and writes in a minute of quiet, 1,000 clusters": 0,
    "CPU in quiet, 1,000 clusters": 2,
    "restart with 1,000 clusters, start to ready": 2000,
    "restart with 1,000 clusters, CPU in the first 45 s": 2,
    "restart with 1,000 clusters, writes": 0,
    "/healthz, 5,000 relisted beside 1 GiB, p99": 100,
    "admission, 5,000 relisted beside 1 GiB, p99": 100,
    "session cluster, apply to READY": 0.30 * 26.9,
    "session job from no TaskManager, ours / Flink's own": 0.55,
    "application, apply to RUNNING": 0.40 * 27.7,
    "application, apply to RUNNING in its status": 0.30 * 39.0,
    "job RUNNING in Flink to RUNNING in its status, p99": 1,
    "all tasks RUNNING in Flink to Ready in the status, p99": 1,
}


def percentile(samples, percent):
    """The smallest sample that so many percent of them do not exceed."""
    return sorted(samples)[max(0, math.ceil(len(samples) * percent / 100) - 1)]


def clusters(n):
    return f"{n:,} clusters" if n else "no clusters"


def number(value):
    return f"{value:.0f}" if value == round(value) else f"{value:.2f}" if abs(value) < 100 else f"{value:.1f}"


class Report:
    def __init__(self, folder):
        self.path, self.figures = os.path.join(folder, "figures.jsonl"), []

    def add(self, name, value, unit="", **more):
        """One figure; more: whatever else is to be known about it in JSON."""
        target = TARGETS.get(name)
        self.figures.append({"figure": name, "value": round(value, 4), "unit": unit, "target": target,
                             "ratio": round(value / target, 3) if target else None, **more})
        print(f"  {name:<62} {number(value):>9} {unit}", flush=True)
        return value

    def median(self, name, samples, unit="", **more):
        return self.add(name, statistics.median(samples), unit, samples=[round(s, 4) for s in samples], **more)

    def percentiles(self, name, samples, unit="", **more):
        for percent in (50, 99):
            self.add(f"{name}, p{percent}", percentile(samples, percent), unit, samples=len(samples), **more)

    def table(self):
        lines = [f"{'figure':<62} {'measured':>16} {'target':>16}  ratio", "-" * 104]
        for f in self.figures:
            unit, target, ratio = f["unit"], f["target"], f["ratio"]
            columns = [f"{f['figure']:<62}", f"{number(f['value']) + ' ' + unit:>16}",
                       f"{'' if target is None else '≤ ' + number(target) + ' ' + unit:>16}",
                       f"{'' if ratio is None else format(ratio, '.2f'):>6}",
                       "←" if target is not None and f["value"] > target else ""]
            lines.append(" ".join(columns).rstrip())
        return "\n".join(lines)

    def write(self):
        """The table and the JSON, to the terminal and into the folder."""
        version = subprocess.run([os.path.join(ROOT, "build/flink-operator"), "version"], capture_output=True, text=True,
                                 check=True).stdout.split("\n", 1)[0]
        about = {"version": version, "time": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
                 "cores": os.cpu_count(), "load": os.getloadavg()[0]}
        print(f"\n{self.table()}\n← over its target\n")
        text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in [about, *self.figures])
        print(text, end="")
        with open(self.path, "w", encoding="utf-8") as f:
            f.write(text)
