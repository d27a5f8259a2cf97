"""A web server inside the bed's network, with the test job's JAR and a large one."""
import base64
import os
import subprocess
import sys
import zipfile

from lib.bed import ROOT
from lib.check import wait
from world import need_bed

ADDRESS = "10.99.0.1"  # of the node
PORT = 18080
BIG = 60 << 20


class Web:
    def __init__(self, run):
        bed = need_bed(run)
        self.folder = os.path.join(ROOT, "build/e2e/web")
        os.makedirs(self.folder, exist_ok=True)
        os.makedirs(run.dir, exist_ok=True)
        self.log = os.path.join(run.dir, "webserver.log")
        with open(self.log, "wb") as log:
            self.process = bed.start(sys.executable, os.path.join(ROOT, "tests/lib/webserver.py"), self.folder, str(PORT),
                                     stdout=log, stderr=subprocess.STDOUT)
        run.cleanup(self.stop)
        wait("the web server", lambda: not subprocess.run(
            [*bed.command, "exec", "curl", "-so", "/dev/null", f"http://127.0.0.1:{PORT}/"], check=False).returncode, 20)

    def stop(self):
        self.process.kill()
        self.process.wait()

    @staticmethod
    def url(name):
        return f"http://{ADDRESS}:{PORT}/{name}"

    def requests(self):
        with open(self.log, encoding="utf-8") as f:
            return f.read().splitlines()

    def job_jar(self, run, pod):
        """job.jar as the image has it, and big.jar with 60 MB more in it."""
        small, big = os.path.join(self.folder, "job.jar"), os.path.join(self.folder, "big.jar")
        text = run.kube.exec(run.ns, pod, "base64", "-w0", "/opt/flink/usrlib/bed-jobs.jar")
        with open(small, "wb") as f:
            f.write(base64.b64decode(text))
        with open(big, "wb") as f:
            f.write(base64.b64decode(text))
        with zipfile.ZipFile(big, "a", zipfile.ZIP_STORED) as z:
            z.writestr("padding", os.urandom(BIG))
