#!/usr/bin/env python3
"""Write a container image as an OCI archive, without a daemon.

A layer is a directory (taken as the root of the file system, with its owners and modes), a tar archive, or a set of
single files. Layers are stored uncompressed: they are read again at once on the same machine. The same input gives
the same bytes, so that importing an unchanged image finds every layer already there.
"""
import argparse
import hashlib
import io
import json
import os
import sys
import tarfile
import tempfile

EPOCH = 1767225600  # modification time of everything in directory and file layers
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def full_name(name):
    """The name as containerd keeps it: busybox -> docker.io/library/busybox:latest."""
    first = name.split("/")[0]
    if "/" not in name:
        name = "docker.io/library/" + name
    elif "." not in first and ":" not in first and first != "localhost":
        name = "docker.io/" + name
    return name if ":" in name.rsplit("/", 1)[1] else name + ":latest"


def fixed_time(info):
    info.mtime = EPOCH
    return info


def as_root(info):
    info.uid = info.gid = 0
    info.uname = info.gname = "root"
    return fixed_time(info)


def directory_layer(out, directory):
    with tarfile.open(out, "w", format=tarfile.GNU_FORMAT) as tar:
        for name in sorted(os.listdir(directory)):
            tar.add(os.path.join(directory, name), arcname=name, filter=fixed_time)


def file_layer(out, files):
    """files: SOURCE=/DESTINATION; owned by root, the mode is the source's."""
    with tarfile.open(out, "w", format=tarfile.GNU_FORMAT) as tar:
        known = set()
        for spec in files:
            source, _, destination = spec.partition("=")
            destination = destination.lstrip("/")
            parents = destination.split("/")[:-1]
            for depth in range(1, len(parents) + 1):
                parent = "/".join(parents[:depth])
                if parent not in known:
                    known.add(parent)
                    info = tarfile.TarInfo(parent)
                    info.type, info.mode = tarfile.DIRTYPE, 0o755
                    tar.addfile(as_root(info))
            tar.add(os.path.realpath(source), arcname=destination, filter=as_root)


def sha256(path):
    with open(path, "rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()


class Archive:
    """An OCI archive in the making: blobs are files or bytes, each written once."""

    def __init__(self, stream):
        self.tar = tarfile.open(fileobj=stream, mode="w|", format=tarfile.GNU_FORMAT, bufsize=1 << 20)
        self.written = set()

    def put(self, name, data):
        info = tarfile.TarInfo(name)
        info.size = len(data)
        self.tar.addfile(info, io.BytesIO(data))

    def file(self, path):
        digest = sha256(path)
        if digest not in self.written:
            self.written.add(digest)
            info = tarfile.TarInfo("blobs/sha256/" + digest)
            info.size = os.path.getsize(path)
            with open(path, "rb") as f:
                self.tar.addfile(info, f)
        return {"digest": "sha256:" + digest, "size": os.path.getsize(path)}

    def json(self, value):
        data = json.dumps(value, sort_keys=True).encode()
        digest = hashlib.sha256(data).hexdigest()
        self.put("blobs/sha256/" + digest, data)
        return {"digest": "sha256:" + digest, "size": len(data)}


def write(stream, names, layers, config):
    archive = Archive(stream)
    archive.put("oci-layout", b'{"imageLayoutVersion":"1.0.0"}')
    kind = "application/vnd.oci.image."
    blobs = [dict(archive.file(path), mediaType=kind + "layer.v1.tar") for path in layers]
    manifest = archive.json({
        "schemaVersion": 2,
        "mediaType": kind + "manifest.v1+json",
        "config": dict(mediaType=kind + "config.v1+json", **archive.json({
            "created": "2026-01-01T00:00:00Z", "architecture": "amd64", "os": "linux", "config": config,
            "rootfs": {"type": "layers", "diff_ids": [blob["digest"] for blob in blobs]},
        })),
        "layers": blobs,
    })
    archive.put("index.json", json.dumps({"schemaVersion": 2, "manifests": [dict(
        mediaType=kind + "manifest.v1+json", platform={"architecture": "amd64", "os": "linux"}, **manifest,
        annotations={"io.containerd.image.name": name, "org.opencontainers.image.ref.name": name.rsplit(":", 1)[1]},
    ) for name in names]}).encode())
    archive.tar.close()


def arguments():
    p = argparse.ArgumentParser(prog="bed image", description=__doc__, fromfile_prefix_chars="@",
                                formatter_class=argparse.RawDescriptionHelpFormatter,
                                epilog="@FILE reads further arguments from a file, one a line.")
    p.add_argument("out", metavar="OUT", help="the archive to write; - for standard output")
    p.add_argument("names", metavar="NAME[,NAME]", help="for example flink:1.20.5,flink:1.20")
    p.add_argument("--layer", action="append", default=[], metavar="DIRECTORY|TAR", help="in order, lowest first")
    p.add_argument("--file", action="append", default=[], metavar="SOURCE=/DESTINATION",
                   help="one file more; all of them together are the last layer")
    p.add_argument("--entrypoint", nargs="+", metavar="WORD")
    p.add_argument("--cmd", nargs="+", metavar="WORD")
    p.add_argument("--env", action="append", default=[], metavar="NAME=VALUE")
    p.add_argument("--user", metavar="UID[:GID]")
    p.add_argument("--workdir", default="/")
    p.add_argument("--port", action="append", default=[])
    p.add_argument("--label", action="append", default=[], metavar="NAME=VALUE")
    return p.parse_args()


def main():
    a = arguments()
    env = a.env if any(e.startswith("PATH=") for e in a.env) else ["PATH=" + PATH] + a.env
    config = {"Env": env, "WorkingDir": a.workdir, "Entrypoint": a.entrypoint, "Cmd": a.cmd, "User": a.user,
              "ExposedPorts": {port + "/tcp": {} for port in a.port},
              "Labels": dict(label.split("=", 1) for label in a.label)}
    config = {key: value for key, value in config.items() if value}
    names = [full_name(name) for name in a.names.split(",")]
    folder = None if a.out == "-" else os.path.dirname(os.path.abspath(a.out))
    with tempfile.TemporaryDirectory(dir=folder, prefix=".image-") as tmp:
        layers = []
        for number, layer in enumerate(a.layer):
            if os.path.isdir(layer):
                path = os.path.join(tmp, "%d.tar" % number)
                directory_layer(path, layer)
                layer = path
            layers.append(layer)
        if a.file:
            layers.append(os.path.join(tmp, "files.tar"))
            file_layer(layers[-1], a.file)
        if a.out == "-":
            write(sys.stdout.buffer, names, layers, config)
        else:
            part = os.path.join(tmp, "out")
            with open(part, "wb") as stream:
                write(stream, names, layers, config)
            os.replace(part, a.out)


main()
