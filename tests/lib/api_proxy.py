"""A TLS proxy before the API server that a test tells what to do to which request.

    proxy.rule = lambda call: "lost" if call.verb == "create" and call.resource == "pods" else None

A rule is asked for every request and returns None, a word, or (word, argument):

    refuse        the connection breaks before the request is sent on: it never happened
    ignore        it is not sent on, and neither an answer nor an end of the connection comes
    lost          the request is carried out, its answer is not delivered
    truncate      half of the answer is delivered, then the connection ends
    reset         half of the answer is delivered, then the connection is reset
    half          carried out; the answer is whole for HTTP, but only half of the JSON
    page          carried out, but answered with 200 and a page of HTML
    portal        the same, but it is not sent on
    hang          carried out, but neither an answer nor an end of the connection comes
    twice         carried out twice; the second answer is delivered
    delay, S      S seconds before it is sent on
    late, S       S seconds before the answer is delivered
    status, N     refused with this HTTP status, and a Status object such as the API server's
    after, N      carried out, but answered with this status
    answer, B     these bytes are the whole answer; the request is not sent on
and of a watch:

    cut, N        the stream ends in the middle of the line of event N (from 1)
    lose, N       event N and what comes with it is lost, and the stream ends as if all were well
    dead, N       from event N on nothing is delivered, and the connection stays
    again         each event comes twice
    late by, F    each piece of the stream comes F() seconds late
"""
import asyncio
import json
import os
import re
import ssl
import subprocess
import threading
import time
import urllib.parse

REASONS = {400: "BadRequest", 401: "Unauthorized", 403: "Forbidden", 404: "NotFound", 409: "Conflict", 410: "Expired",
           422: "Invalid", 429: "TooManyRequests", 500: "InternalError", 503: "ServiceUnavailable", 504: "Timeout"}
RESOURCE = re.compile(r"^/(?:api|apis/[^/]+)/v[^/]+(?:/namespaces/([^/]+))?/([a-z]+)(?:/([^/]+))?(?:/([a-z]+))?$")


class Call:
    """A request as rules see it."""

    def __init__(self, method, target, headers, body):
        self.method, self.target, self.headers, self.body = method, target, headers, body
        self.time, self.fault, self.status = time.time(), None, None
        url = urllib.parse.urlsplit(target)
        query = dict(urllib.parse.parse_qsl(url.query))
        self.path, self.ns, self.resource, self.name, self.subresource = url.path, None, None, None, None
        if found := RESOURCE.match(url.path):
            self.ns, self.resource, self.name, self.subresource = found.groups()
        self.cluster = dict(re.findall(r"([a-z]+)=([^,]+)", query.get("labelSelector", ""))).get("app")
        if self.resource == "configmaps" and not self.cluster:  # one whose content is read
            self.cluster = query.get("fieldSelector", "").partition("metadata.name=")[2]
        if method == "GET":
            self.verb = "watch" if query.get("watch") else "get" if self.name else "list"
        else:
            apply = "apply-patch" in headers.get("content-type", "")
            self.verb = {"POST": "create", "PATCH": "apply" if apply else "patch", "DELETE": "delete"}.get(method, method)
            self.verb = f"dry-run {self.verb}" if query.get("dryRun") else self.verb
        if method == "POST":
            self.name = self.member("metadata", "name")

    def member(self, *path):
        try:
            value = json.loads(self.body)
            for key in path:
                value = value[key]
            return value
        except (ValueError, KeyError, TypeError):
            return None

    def about(self):
        """The name of the object it is about; of an event, of the object that the event is about; of a list, the cluster."""
        if self.resource == "events":
            return self.member("involvedObject", "name") or self.member("regarding", "name") or self.name
        return self.name or self.cluster

    def __str__(self):
        resource = "/".join(filter(None, [self.resource, self.subresource]))
        return f"{self.verb} {resource or self.path} {self.name or ''}".strip()


def refusal(status, text, retry_after=None):
    body = json.dumps({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": text,
                       "reason": REASONS.get(status, "Unknown"), "code": status}).encode()
    retry = f"Retry-After: {retry_after}\r\n" if retry_after else ""
    return (f"HTTP/1.1 {status} Reason\r\nContent-Type: application/json\r\n{retry}"
            f"Content-Length: {len(body)}\r\n\r\n").encode() + body


PAGE = b"<!DOCTYPE html><html><body>Please log in.</body></html>"
PORTAL = (b"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: %d\r\n\r\n" % len(PAGE)) + PAGE


class Broken(Exception):
    """The connection to the client is to end."""


class ApiProxy:
    def __init__(self, netns, server, ca, folder):
        """server, ca: of the real API server, as Plane.server() gives them."""
        self.rule = None
        self.log = []  # every Call
        self.host, self.port = re.match(r"https://([^:/]+):(\d+)", server).groups()
        self.upstream_tls = ssl.create_default_context(cadata=ca.decode())
        self.upstream_tls.check_hostname = False
        self.certificate(folder)
        self.netns, self.writers, self.server = netns, set(), None
        self.loop = asyncio.new_event_loop()
        self.socket = netns.listen("127.0.0.1")
        self.address = self.socket.getsockname()[1]
        self.url = f"https://127.0.0.1:{self.address}"
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()
        self.call(self.listen(self.socket))

    def certificate(self, folder):
        """Another one, of an authority that nobody has heard of, from the next up() on."""
        os.makedirs(folder, exist_ok=True)
        key, cert = os.path.join(folder, "proxy.key"), os.path.join(folder, "proxy.crt")
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                        "-keyout", key, "-out", cert, "-days", "2", "-subj", "/CN=faults",
                        "-addext", "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True)
        self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.tls.load_cert_chain(cert, key)
        with open(cert, "rb") as f:
            self.ca = f.read()

    # ---- from the test's thread ----

    def serve(self):
        asyncio.set_event_loop(self.loop)
        self.loop.run_forever()
        self.loop.run_until_complete(self.end())  # handshakes may have ended meanwhile
        self.loop.close()

    def call(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(10)

    def close(self):
        self.loop.set_exception_handler(lambda *_: None)  # nobody waits for what ends with it
        self.down()
        self.call(self.end())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(5)

    @staticmethod
    async def end():
        while tasks := asyncio.all_tasks() - {asyncio.current_task()}:  # connections may still have been coming in
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.get_running_loop().shutdown_asyncgens()

    def down(self):
        """From now on connections are refused, and those there are break."""
        async def stop():
            if self.server:
                self.server.close()
                self.server = None
            self.break_all()
        self.call(stop())

    def up(self):
        self.socket = self.netns.listen("127.0.0.1", self.address)
        self.call(self.listen(self.socket))

    def reset(self):
        """Every connection breaks, once."""
        self.loop.call_soon_threadsafe(self.break_all)

    def break_all(self):
        for writer in list(self.writers):
            writer.transport.abort()

    async def listen(self, sock):
        self.server = await asyncio.start_server(self.connection, sock=sock, ssl=self.tls, limit=1 << 24)

    # ---- connections ----

    async def connection(self, reader, writer):
        self.writers.add(writer)
        up = [None, None]
        try:
            while call := await self.read_call(reader):
                self.log.append(call)
                rule = self.rule
                fault = rule(call) if rule else None
                word, argument = fault if isinstance(fault, tuple) else (fault, None)
                call.fault = word
                await self.carry_out(call, word, argument, up, writer)
        except (Broken, OSError, asyncio.IncompleteReadError, asyncio.CancelledError, ValueError):
            pass
        finally:
            self.writers.discard(writer)
            writer.transport.abort()
            if up[1]:
                up[1].transport.abort()

    @staticmethod
    async def read_call(reader):
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError:
            return None
        first, *lines = head.decode("latin-1").rstrip().split("\r\n")
        method, target, _ = first.split(" ")
        headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in lines)}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        call = Call(method, target, headers, body)
        call.raw = head + body
        return call

    async def carry_out(self, call, word, argument, up, writer):
        if word == "refuse":
            raise Broken()
        if word == "ignore":
            await asyncio.sleep(3600)
        if word == "portal":
            writer.write(PORTAL)
            await writer.drain()
            return
        if word == "answer":
            writer.write(argument)
            await writer.drain()
            raise Broken()
        if word == "status":
            status, retry = argument if isinstance(argument, tuple) else (argument, None)
            writer.write(refusal(status, f"fault: {call}", retry))
            await writer.drain()
            return
        if word == "delay":
            await asyncio.sleep(argument)
        head, send = await self.ask(call, up)
        if word == "twice":
            await self.swallow(send)
            head, send = await self.ask(call, up)
        call.status = int(head.split(b" ", 2)[1])
        if word in ("lost", "hang", "after", "page"):
            await self.swallow(send)
            if word == "hang":
                await asyncio.sleep(3600)
            if word == "lost":
                raise Broken()
            writer.write(PORTAL if word == "page" else refusal(argument, f"fault: {call}"))
            await writer.drain()
            return
        if word == "late":
            await asyncio.sleep(argument)
        if word in ("truncate", "reset", "half"):
            await self.cut_short(head, send, word, writer)
        elif call.verb == "watch" and call.status == 200:
            writer.write(head)
            await self.stream(send, word, argument, writer)
        else:
            writer.write(head)
            async for piece in send:
                writer.write(piece)
                await writer.drain()
            await writer.drain()

    async def ask(self, call, up):
        """Sends it on: the head of the answer, and the pieces of its body as they come, with their framing."""
        for attempt in (1, 2):
            if not up[1]:
                up[:] = await asyncio.open_connection(self.host, int(self.port), ssl=self.upstream_tls, limit=1 << 24)
            try:
                up[1].write(call.raw)
                await up[1].drain()
                head = await up[0].readuntil(b"\r\n\r\n")
                return head, self.body(head, up)
            except (OSError, asyncio.IncompleteReadError):
                up[1].transport.abort()
                up[:] = [None, None]
                if attempt == 2:  # a kept connection may have ended meanwhile; a new one may not
                    raise
        raise Broken()

    @staticmethod
    async def body(head, up):
        text = head.decode("latin-1").lower()
        if length := re.search(r"\r\ncontent-length: *(\d+)", text):
            left = int(length[1])
            while left:
                piece = await up[0].read(min(left, 1 << 16))
                if not piece:
                    raise Broken()
                left -= len(piece)
                yield piece
        elif "transfer-encoding: chunked" in text:
            size = 1
            while size:
                line = await up[0].readline()
                size = int(line, 16)
                yield line + await up[0].readexactly(size + 2)
        elif " 204 " not in text.split("\r\n", 1)[0]:
            up[1] = None  # ends with the connection
            while piece := await up[0].read(1 << 16):
                yield piece
            raise Broken()

    @staticmethod
    async def swallow(send):
        async for _ in send:
            pass

    @staticmethod
    async def cut_short(head, send, word, writer):
        body = b"".join([piece async for piece in send])
        if word == "half":
            lines = head.decode("latin-1").rstrip().split("\r\n")
            kept = [line for line in lines if not line.lower().startswith(("content-length:", "transfer-encoding:"))]
            body = text_of(head, body)
            head = "\r\n".join([*kept, f"Content-Length: {len(body) // 2}", "", ""]).encode("latin-1")
        writer.write(head + body[:len(body) // 2])
        await writer.drain()
        if word == "half":
            return
        if word == "truncate":
            writer.close()
        raise Broken()  # a reset

    async def stream(self, send, word, argument, writer):
        """A watch: each piece is an event, or several, as a chunk with its framing."""
        events, due, queue = 0, time.monotonic(), asyncio.Queue()
        sender = asyncio.ensure_future(self.send_late(queue, writer)) if word == "late by" else None
        try:
            async for piece in send:
                events += piece.count(b"}\n")
                if word in ("cut", "lose", "dead") and events >= argument:
                    await self.give_up(piece, word, writer)
                if word == "again":
                    piece = twice(piece)
                if sender:
                    due = max(due, time.monotonic() + argument())
                    queue.put_nowait((due, piece))
                else:
                    writer.write(piece)
                    await writer.drain()
            if sender:
                queue.put_nowait((due, None))
                await sender
        finally:
            if sender:
                sender.cancel()

    @staticmethod
    async def give_up(piece, word, writer):
        if word == "dead":
            await asyncio.sleep(3600)
        writer.write(b"0\r\n\r\n" if word == "lose" else piece[:len(piece) // 2])
        await writer.drain()
        raise Broken()

    @staticmethod
    async def send_late(queue, writer):
        while True:
            due, piece = await queue.get()
            if piece is None:
                return
            await asyncio.sleep(max(0, due - time.monotonic()))
            writer.write(piece)
            await writer.drain()


def text_of(head, body):
    """A body without its framing."""
    if b"chunked" not in head.lower():
        return body
    text, at = b"", 0
    while size := int(body[at:body.index(b"\r\n", at)], 16):
        at = body.index(b"\r\n", at) + 2
        text += body[at:at + size]
        at += size + 2
    return text


def twice(piece):
    """A chunk with each line of it doubled."""
    if piece.startswith(b"0\r\n"):
        return piece
    lines = piece[piece.index(b"\r\n") + 2:-2].splitlines(keepends=True)
    text = b"".join(line + line if line.endswith(b"\n") else line for line in lines)
    return b"%x\r\n%s\r\n" % (len(text), text)
