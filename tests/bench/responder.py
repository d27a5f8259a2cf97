#!/usr/bin/env python3
"""Answers for every JobManager of the fake nodes: what a real, idle session cluster says, recorded once.

It runs in the bed's network, where all addresses of fake pods are made local, so that the operator asks each pod at its
own address. usage: responder.py FOLDER-WITH-RECORDINGS PORT
"""
import asyncio
import pathlib
import sys

PATHS = {"/overview": "empty-overview.json", "/jobs/overview": "empty-jobs.json", "/taskmanagers": "empty-taskmanagers.json",
         "/config": "config.json"}


def answer(status, body):
    return (f"HTTP/1.1 {status}\r\ncontent-type: application/json; charset=UTF-8\r\ncontent-length: {len(body)}\r\n\r\n"
            .encode() + body)


class Connection(asyncio.Protocol):
    answers: dict = {}
    missing = answer("404 Not Found", b'{"errors":["Not found."]}')

    def connection_made(self, transport):
        self.transport, self.buffer = transport, b""

    def data_received(self, data):
        self.buffer += data
        while b"\r\n\r\n" in self.buffer:
            head, self.buffer = self.buffer.split(b"\r\n\r\n", 1)
            path = head.split(b" ", 2)[1].decode()
            self.transport.write(self.answers.get(path, self.missing))


async def main():
    folder, port = pathlib.Path(sys.argv[1]), int(sys.argv[2])
    Connection.answers = {path: answer("200 OK", (folder / name).read_bytes()) for path, name in PATHS.items()}
    server = await asyncio.get_running_loop().create_server(Connection, "0.0.0.0", port, backlog=4096)
    print("ready", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
