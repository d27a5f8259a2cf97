"""A bed of tests/bed: a Kubernetes of one's own on this machine."""
import os
import subprocess

from lib.check import Failure

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))


class Bed:
    def __init__(self, name):
        self.name = name
        self.command = [os.path.join(ROOT, "tests/bed/bed"), "--name", name]

    def __call__(self, *words, timeout=600, fail=True, **options):
        """A command of tests/bed/bed; its standard output."""
        done = subprocess.run([*self.command, *words], text=True, stdout=subprocess.PIPE, timeout=timeout, check=False,
                              **options)
        if fail and done.returncode:
            raise Failure(f"bed {' '.join(words[:4])}: exit code {done.returncode} {done.stdout[-500:]}")
        return done.stdout

    def up(self, *options, owner=None):
        """Brings it up, or goes on with the one that is there. owner: "none" for a bed that stays."""
        env = dict(os.environ, BED_OWNER_PID=str(owner or os.getpid()))
        self("up", *options, timeout=3600, env=env)
        self.attach()

    def attach(self):
        """Finds kubectl, kubeconfig and state of the one that is up."""
        shell = 'eval "$("$@" env)"; command -v kubectl; echo "$KUBECONFIG"'
        found = subprocess.run(["bash", "-c", shell, "bash", *self.command], text=True, capture_output=True, check=True)
        self.kubectl, self.kubeconfig = found.stdout.split()
        self.state = os.path.dirname(self.kubeconfig)

    def is_up(self):
        return subprocess.run([*self.command, "status"], capture_output=True, check=False).returncode == 0

    def down(self):
        self("down", fail=False)

    def start(self, *words, **options):
        """A process of this machine in the bed's network, with the cluster's DNS; its id is the process's own."""
        return subprocess.Popen([*self.command, "exec", *words], **options)

    def pids(self, pattern):
        """Processes inside whose command line matches, by their id in the bed."""
        found = self("in", "pgrep", "-f", pattern, fail=False)
        return [int(pid) for pid in found.split()]

    def jvms(self, pod):
        """Ids in the bed of the JVMs of a pod, by the pod's name in their environment."""
        script = ("for p in /proc/[0-9]*; do [ \"$(cat $p/comm 2>/dev/null)\" = java ] || continue; "
                  f"tr '\\0' '\\n' <$p/environ 2>/dev/null | grep -qx HOSTNAME={pod} && echo ${{p#/proc/}}; done; true")
        return [int(pid) for pid in self("in", "sh", "-c", script).split()]

    def signal(self, name, pids):
        self("in", "kill", "-s", name, *map(str, pids))
