"""A TLS proxy before the API server that a test tells what to do to which request.

    proxy.rule = lambda call: "lost" if call.verb == "create" and call.resource == "pods" else None

A rule is asked for every request and returns None, a word, or (word, argument):

    refuse        the connection breaks before the request is sent on: it never happened
    lost          the request is carried out, its answer is not delivered
    truncate      half of the answer is delivered
    hang          carried out, but neither an answer nor an end of the connection comes
    twice         carried out twice; the second answer is delivered
    delay, S      S seconds before it is sent on
    late, S       S seconds before the answer is delivered
    status, N     refused with this HTTP status, and a Status object such as the API server's
    after, N      carried out, but answered with this status
    answer, B     these bytes are the whole answer; the request is not sent on
    cut, N        of a watch: the stream ends in the middle of the line of event N (from 1)
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
        if method == "GET":
            self.verb = "watch" if query.get("watch") else "get" if self.name else "list"
        else:
            apply = "apply-patch" in headers.get("content-type", "")
            self.verb = {"POST": "create", "PATCH": "apply" if apply else "patch", "DELETE": "delete"}.get(method, method)
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
        """The name of the object it is about; of an event, of the object that the event is about."""
        if self.resource == "events":
            return self.member("involvedObject", "name") or self.member("regarding", "name") or self.name
        return self.name

    def __str__(self):
        resource = "/".join(filter(None, [self.resource, self.subresource]))
        return f"{self.verb} {resource or self.path} {self.name or ''}".strip()


def refusal(status, text, retry_after=None):
    body = json.dumps({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": text,
                       "reason": REASONS.get(status, "Unknown"), "code": status}).encode()
    retry = f"Retry-After: {retry_after}\r\n" if retry_after else ""
    return (f"HTTP/1.1 {status} Reason\r\nContent-Type: application/json\r\n{retry}"
            f"Content-Length: {len(body)}\r\n\r\n").encode() + body


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
        if word in ("lost", "hang", "after"):
            await self.swallow(send)
            if word == "hang":
                await asyncio.sleep(3600)
            if word == "lost":
                raise Broken()
            writer.write(refusal(argument, f"fault: {call}"))
            await writer.drain()
            return
        if word == "late":
            await asyncio.sleep(argument)
        await self.pass_on(head, send, word, argument, writer)

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
    async def pass_on(head, send, word, argument, writer):
        if word == "truncate":
            whole = head + b"".join([piece async for piece in send])
            writer.write(whole[:len(head) + (len(whole) - len(head)) // 2])
            await writer.drain()
            writer.close()
            raise Broken()
        writer.write(head)
        events = 0
        async for piece in send:
            if word == "cut":
                events += piece.count(b"\n{") or piece.count(b"}\n")
                if events >= argument:
                    writer.write(piece[:len(piece) // 2])
                    await writer.drain()
                    raise Broken()
            writer.write(piece)
            await writer.drain()
        await writer.drain()
