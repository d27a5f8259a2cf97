"""Sockets in a bed's network for a process that stays outside: a helper inside makes them and hands them over."""
import os
import socket
import subprocess
import sys
import tempfile
import threading


class Netns:
    """start: a function like Bed.start, that runs a command inside."""

    def __init__(self, start):
        from lib.check import wait  # the helper itself is run as a script and has no lib

        self.folder = tempfile.TemporaryDirectory(prefix="flinkop-net-")
        path = os.path.join(self.folder.name, "agent")
        self.process = start(sys.executable, os.path.abspath(__file__), path)
        self.lock = threading.Lock()
        self.agent = None

        def connect():
            agent = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            agent.connect(path)
            self.agent = agent
            return True
        wait("the helper in the bed's network", connect, 30, 0.02)

    def ask(self, what, address, port):
        with self.lock:
            self.agent.send(f"{what} {address} {port}".encode())
            answer, fds, _, _ = socket.recv_fds(self.agent, 1000, 1)
        if not fds:
            raise OSError(answer.decode())
        return socket.socket(fileno=fds[0])

    def listen(self, address, port=0):
        """A listening socket; port 0: a free one."""
        return self.ask("listen", address, port)

    def listen_udp(self, address, port=0):
        """A datagram socket with this address."""
        return self.ask("udp", address, port)

    def connect(self, address, port):
        """A connected socket."""
        return self.ask("connect", address, port)

    def close(self):
        self.agent.close()
        self.process.kill()
        self.process.wait()
        self.folder.cleanup()


def make(what, address, port):
    kind = socket.SOCK_DGRAM if what == "udp" else socket.SOCK_STREAM
    made = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, kind)
    try:
        if made.family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if what == "udp":
            made.bind((address, port))
        elif what == "listen":
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            made.bind((address, port))
            made.listen(1024)
        else:
            made.settimeout(5)
            made.connect((address, port))
            made.settimeout(None)
        return made
    except OSError:
        made.close()
        raise


def serve(path):
    server = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    server.bind(path)
    server.listen(1)
    peer = server.accept()[0]
    while request := peer.recv(1000):
        what, address, port = request.decode().split()
        try:
            with make(what, address, int(port)) as made:
                socket.send_fds(peer, [b"ok"], [made.fileno()])
        except OSError as e:
            peer.send(str(e).encode())


if __name__ == "__main__":
    serve(sys.argv[1])
