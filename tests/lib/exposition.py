"""Prometheus' text format, read strictly: https://prometheus.io/docs/instrumenting/exposition_formats."""
import math
import re

from lib.check import check

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
SAMPLE = re.compile(rf"^({NAME})(?:\{{(.*)\}})? (\S+)$")
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(,|$)')
PARTS = {"histogram": ("_bucket", "_sum", "_count")}


class Metric:
    def __init__(self, kind):
        self.kind, self.samples = kind, {}  # ((suffix, labels …) → value)

    def value(self, suffix="", **labels):
        """The sum of the samples that have at least these labels."""
        wanted = set(labels.items())
        return sum(v for (s, found), v in self.samples.items() if s == suffix and wanted <= set(found))

    def labels(self):
        """The names of the labels that its samples have."""
        return {name for _, found in self.samples for name, _ in found} - {"le"}


def labels_of(text, line):
    found, at = [], 0
    while at < len(text):
        m = LABEL.match(text, at)
        check(m, f"labels are not well-formed: {line}")
        found.append((m[1], m[2]))
        at = m.end()
    check(len({n for n, _ in found}) == len(found), f"a label twice: {line}")
    return tuple(sorted(found))


def check_histogram(name, metric):
    series = {}
    for (suffix, labels), value in metric.samples.items():
        rest = tuple(pair for pair in labels if pair[0] != "le")
        one = series.setdefault(rest, {"_bucket": []})
        if suffix == "_bucket":
            one["_bucket"].append((float(dict(labels)["le"].replace("+Inf", "inf")), value))
        else:
            one[suffix] = value
    for labels, one in series.items():
        buckets = one["_bucket"]
        check(buckets == sorted(buckets) and buckets[-1][0] == math.inf, f"{name}{labels}: buckets out of order, or no +Inf")
        counts = [count for _, count in buckets]
        check(counts == sorted(counts), f"{name}{labels}: not cumulative: {counts}")
        check(counts[-1] == one["_count"] and one["_sum"] >= 0, f"{name}{labels}: count {one['_count']}, buckets {counts[-1]}")


def parse(text):
    """name → Metric; fails at anything that a strict reader would not take."""
    metrics, described, name = {}, set(), None
    check(text.endswith("\n"), "no line feed at the end")
    for line in text.splitlines():
        if line.startswith("# HELP "):
            name = line.split(" ")[2]
            check(name not in described and len(line.split(" ", 3)[3]) > 3, f"described twice, or not at all: {line}")
            described.add(name)
            continue
        if line.startswith("# TYPE "):
            _, _, of, kind = line.split(" ")
            check(of == name and of not in metrics and kind in ("counter", "gauge", "histogram"), f"out of place: {line}")
            check(kind != "counter" or of.endswith("_total"), f"a counter without _total: {line}")
            metrics[of] = Metric(kind)
            continue
        m = SAMPLE.match(line)
        check(m and name in metrics, f"neither a comment nor a sample of what was described: {line}")
        suffix = m[1][len(name):]
        check(m[1].startswith(name) and suffix in PARTS.get(metrics[name].kind, ("",)), f"a sample of {name}? {line}")
        key = (suffix, labels_of(m[2] or "", line))
        check(key not in metrics[name].samples, f"twice: {line}")
        metrics[name].samples[key] = float(m[3])
    for name, metric in metrics.items():
        if metric.kind == "histogram":
            check_histogram(name, metric)
    return metrics
