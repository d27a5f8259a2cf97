#!/usr/bin/env python3
"""Answers for every JobManager of the fake nodes: what a real, idle session cluster says, recorded once; of jobs that were
run there, what it says of one that runs. Uploads are counted and thrown away.

It runs in the bed's network, where all addresses of fake pods are made local, so that the operator asks each pod at its
own address. usage: responder.py FOLDER-WITH-RECORDINGS PORT

A line "hang ADDRESS…" on its input: from now on those take what they are asked and never answer; "answer": all do.
It writes "ready" and then a line for each event: "run TIME ADDRESS JOB", "upload TIME ADDRESS BYTES".
"""
import asyncio
import json
import pathlib
import re
import sys
import time

PATHS = {"/overview": "empty-overview.json", "/jobs/overview": "empty-jobs.json", "/taskmanagers": "empty-taskmanagers.json",
         "/config": "config.json"}
LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.I)


def answer(status, body):
    return (f"HTTP/1.1 {status}\r\ncontent-type: application/json; charset=UTF-8\r\ncontent-length: {len(body)}\r\n\r\n"
            .encode() + body)


def ok(value):
    return answer("200 OK", json.dumps(value).encode())


class Connection(asyncio.Protocol):
    answers: dict = {}
    missing = answer("404 Not Found", b'{"errors":["Not found."]}')
    one, detail, uploaded = {}, {}, {}  # recorded: a job that runs, in the list and by itself; an upload
    hanging: set = set()
    jobs: dict = {}  # address → ids

    def connection_made(self, transport):
        self.transport, self.buffer = transport, b""
        self.address = transport.get_extra_info("sockname")[0]
        self.head, self.body, self.length, self.missing_bytes = b"", b"", 0, 0

    def data_received(self, data):
        self.buffer += data
        while self.buffer:
            if not self.head:
                if b"\r\n\r\n" not in self.buffer:
                    return
                self.head, self.buffer = self.buffer.split(b"\r\n\r\n", 1)
                found = LENGTH.search(self.head)
                self.length = self.missing_bytes = int(found[1]) if found else 0
            take = self.buffer[:self.missing_bytes]
            self.buffer = self.buffer[len(take):]
            self.missing_bytes -= len(take)
            if self.length <= 1 << 16:
                self.body += take
            if not self.missing_bytes:
                self.whole()

    def whole(self):
        method, path = (word.decode() for word in self.head.split(b" ", 2)[:2])
        reply = self.reply(method, path)
        self.head, self.body = b"", b""
        if self.address not in self.hanging:
            self.transport.write(reply)

    def told(self, what, value):
        print(what, time.time(), self.address, value, flush=True)

    def reply(self, method, path):
        jobs = self.jobs.get(self.address, ())
        if method == "POST" and path == "/jars/upload":
            self.told("upload", self.length)
            return ok(self.uploaded)
        if method == "POST" and path.endswith("/run"):
            job = json.loads(self.body)["jobId"]
            self.told("run", job)
            if self.address not in self.hanging:
                self.jobs.setdefault(self.address, []).append(job)
            return ok({"jobid": job})
        if method == "DELETE":
            return ok({})
        if jobs and path == "/jobs/overview":
            return ok({"jobs": [{**self.one, "jid": job} for job in jobs]})
        if path.startswith("/jobs/") and path[len("/jobs/"):] in jobs:
            return ok({**self.detail, "jid": path[len("/jobs/"):]})
        return self.answers.get(path, self.missing)


async def commands():
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        word, *addresses = line.decode().split()
        Connection.hanging = set(addresses) if word == "hang" else set()


async def main():
    folder, port = pathlib.Path(sys.argv[1]), int(sys.argv[2])

    def recorded(name):
        return json.loads((folder / name).read_bytes())
    Connection.answers = {path: answer("200 OK", (folder / name).read_bytes()) for path, name in PATHS.items()}
    Connection.one, Connection.detail = recorded("running-jobs.json")["jobs"][0], recorded("running-job.json")
    Connection.uploaded = recorded("upload.json")
    server = await asyncio.get_running_loop().create_server(Connection, "0.0.0.0", port, backlog=4096)
    print("ready", flush=True)
    await asyncio.gather(server.serve_forever(), commands())


if __name__ == "__main__":
    asyncio.run(main())
