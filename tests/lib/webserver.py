#!/usr/bin/env python3
"""webserver.py FOLDER PORT: serves the files of a folder, as slowly as one asks: /job.jar?rate=1000000 (bytes a
second), and with ?plain without an ETag. Every request is a line of standard output, every answer that broke off
another."""
import http.server
import os
import sys
import time
import urllib.parse


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        url = urllib.parse.urlsplit(self.path)
        asked = urllib.parse.parse_qs(url.query, keep_blank_values=True)
        rate = int(asked.get("rate", ["0"])[0])
        path = os.path.join(sys.argv[1], os.path.basename(url.path))
        if not os.path.isfile(path):
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(os.path.getsize(path)))
        if "plain" not in asked:
            self.send_header("ETag", f'"{os.stat(path).st_mtime_ns:x}"')
        self.end_headers()
        piece = max(rate // 10, 1) if rate else 1 << 20
        with open(path, "rb") as f:
            while data := f.read(piece):
                try:
                    self.wfile.write(data)
                except OSError:
                    print(f"broken off: {self.path}", flush=True)
                    return
                if rate:
                    time.sleep(len(data) / rate)

    def log_message(self, text, *values):
        print(text % values, flush=True)


if __name__ == "__main__":
    http.server.ThreadingHTTPServer(("", int(sys.argv[2])), Handler).serve_forever()
