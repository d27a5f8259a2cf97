#!/usr/bin/env python3
"""A layer may include only what stands below it. The order is the one table of this file."""
import pathlib
import re
import sys

# layer -> layers it may use, besides itself
BELOW = {
    "base": [],
    "json": ["base"],
    "loop": ["base"],
    "http": ["base", "loop"],
    "kube": ["base", "json", "loop", "http"],
    "flink": ["base", "json"],
    "cluster": ["base", "json", "flink"],
    "server": ["base", "json", "loop", "http", "kube"],
    "controller": ["base", "json", "loop", "http", "kube", "flink", "cluster"],
    "cli": ["base", "json", "loop", "http", "kube", "flink", "cluster", "server", "controller"],
}
# Public headers belong to the layer that implements them; by prefix, the longest first.
OWNER = {
    "json": "json", "json_map": "json", "jv": "json", "yaml": "json", "loop": "loop",
    "http": "http", "http_server": "http", "kube_": "kube", "workqueue": "kube", "flink_": "flink",
    "cluster_": "cluster", "desired": "cluster", "observed": "cluster", "allocate": "cluster",
    "plan": "cluster", "jar_uri": "cluster", "controller": "controller", "health": "server",
}
# Plain data (an enum and a table of names) that any layer may use.
PLAIN = {"kube_resource"}


def owner(header):
    for prefix in sorted(OWNER, key=len, reverse=True):
        if header == prefix or (prefix.endswith("_") and header.startswith(prefix)):
            return OWNER[prefix]
    return "base"


def main():
    bad = 0
    for path in sorted(pathlib.Path("src").glob("*/*.[ch]")):
        layer = path.parts[1]
        for number, line in enumerate(path.read_text().splitlines(), 1):
            match = re.match(r'#include "flinkop/(\w+)\.h"', line)
            if not match or match[1] in PLAIN:
                continue
            other = owner(match[1])
            if other != layer and other not in BELOW[layer]:
                print(f"{path}:{number}: {layer} must not include {match[0]} of {other}")
                bad = 1
    return bad


if __name__ == "__main__":
    sys.exit(main())
