"""A name server of few words, for beds without one: on UDP, A and AAAA."""
import ipaddress
import socket
import struct
import threading


class Dns:
    """names: {"name": ["10.0.0.1", "fd00::1"]}, may be changed; another name does not exist."""

    def __init__(self, netns, names):
        self.names, self.asked, self.ended = names, [], False
        self.socket = netns.listen_udp("127.0.0.1", 53)
        self.socket.settimeout(0.2)
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        while not self.ended:
            try:
                query, peer = self.socket.recvfrom(1500)
                self.socket.sendto(self.answer(query), peer)
            except socket.timeout:
                continue

    def answer(self, query):
        labels, at = [], 12
        while size := query[at]:
            labels.append(query[at + 1:at + 1 + size].decode().lower())
            at += size + 1
        kind, = struct.unpack("!H", query[at + 1:at + 3])
        name = ".".join(labels)
        self.asked.append(name)
        found = [ipaddress.ip_address(a) for a in self.names.get(name, [])]
        found = [a.packed for a in found if (a.version, kind) in ((4, 1), (6, 28))]
        head = query[:2] + struct.pack("!HHHHH", 0x8180 if name in self.names else 0x8183, 1, len(found), 0, 0)
        answers = b"".join(b"\xc0\x0c" + struct.pack("!HHIH", kind, 1, 0, len(a)) + a for a in found)
        return head + query[12:at + 5] + answers

    def stop(self):
        self.ended = True
        self.thread.join(3)
        self.socket.close()
