"""What the demo says while it works: numbered steps, each line with its second, and never long silence."""
import os
import re
import signal
import subprocess
import tempfile
import textwrap
import threading
import time

from lib.check import Failure, short, wait

SILENCE = 8  # s without a line at most
COUNT = [0]


def say(text=""):
    print(text, flush=True)


def duration(seconds):
    return f"{seconds:.1f} s" if seconds < 60 else f"{int(seconds) // 60} min {int(seconds) % 60} s"


class Step:
    """with Step("Title") as step: … A thread tells step.detail when nothing else has been said for a while."""

    def __init__(self, title):
        self.title, self.detail = title, ""
        self.over = threading.Event()

    def __enter__(self):
        COUNT[0] += 1
        say(f"\n{COUNT[0]}. {self.title}")
        self.start = self.last = time.monotonic()
        self.thread = threading.Thread(target=self.beat, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, kind, error, _trace):
        self.over.set()
        self.thread.join()
        if error:
            error.step = self.title
        else:
            self.say("done")

    def say(self, text):
        self.last = time.monotonic()
        say(f"  {self.last - self.start:6.1f} s  " + textwrap.indent(text.rstrip(), 12 * " ").lstrip())

    def beat(self):
        while not self.over.wait(0.5):
            if time.monotonic() - self.last >= SILENCE:
                self.say(f"... {self.detail}")

    def until(self, what, probe, seconds, every=0.2):
        """lib.check.wait, whose last complaint is the detail meanwhile."""
        def asked():
            try:
                return probe()
            except (Failure, OSError) as e:
                self.detail = f"{what}: {short(str(e), 200)}"
                raise
        self.detail = what
        return wait(what, asked, seconds, every)

    def run(self, what, command, seconds, **options):
        """A command without a terminal: its last line is the detail, and only a failure shows the end of its output."""
        self.detail = what
        with tempfile.TemporaryFile("w+", errors="replace") as log:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                                       start_new_session=True, **options)
            try:
                end = time.monotonic() + seconds
                while process.poll() is None:
                    if time.monotonic() > end:
                        raise Failure(f"{what}: not done after {duration(seconds)}{tail(log)}")
                    time.sleep(0.1)
                    self.detail = last_line(log) or what
            finally:
                if process.poll() is None:
                    os.killpg(process.pid, signal.SIGTERM)
                    process.wait()
            if process.returncode:
                raise Failure(f"{what}: exit code {process.returncode}{tail(log)}")


def end_of(log, size):
    log.flush()
    at = os.fstat(log.fileno()).st_size
    return os.pread(log.fileno(), size, max(0, at - size)).decode(errors="replace")


def last_line(log):
    """Without what the bed's own steps put around their names."""
    line = next((line for line in reversed(end_of(log, 500).split("\n")) if line.strip()), "")
    return re.sub(r"^bed: |( \.\.\.| \.\.\. still running.*)$", "", line).strip()


def tail(log):
    lines = end_of(log, 8000).rstrip().split("\n")[-30:]
    return "; the end of its output:\n" + "\n".join(f"    {line}" for line in lines)
