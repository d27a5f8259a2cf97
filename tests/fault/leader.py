"""Two operators, of which one leads: it gives up its Lease, is killed, stands still, or is cut off, while everything is being
changed. Each has an account of its own, so the audit log tells who has written what."""
import os
import random
import signal
import threading
import time

from lib.accounts import answered
from lib.api_proxy import ApiProxy
from lib.check import Failure, check, equal, wait
from lib.plane import SOON, moment, named
from lib.plane_scene import (answers, cluster_ready, elected, job_ready, log_has_no, namespace, one_job, session, submit, writes)
from lib.suite import test

LEASE_S = 15
LATE_S = 1.5  # of the Lease's time, to take over; the others look once a second
CLUSTERS = ("c0", "c1", "c2")


class Contender:
    """One of the two, and those who come after it."""

    def __init__(self, run, name):
        self.run, self.account = run, f"{run.account}-{name}"
        run.plane.account(self.account, run.namespaces)
        self.proxy = ApiProxy(run.plane.netns, *run.plane.server(), os.path.join(run.dir, name))
        run.cleanup(self.proxy.close)
        self.start()

    def start(self):
        run = self.run
        config = run.plane.kubeconfig(os.path.join(run.dir, self.account), self.account, self.proxy.url, self.proxy.ca)
        self.operator = elected(run, kubeconfig=config)
        wait("it answers", lambda: answers(self.operator), SOON, 0.05)

    def leads(self):
        self.operator.alive()
        return " leading " in self.operator.log()

    def ends(self):
        """The process has ended by itself, and not as if all were well."""
        code = self.operator.process.wait(SOON)
        equal(code, 3, "its exit code")
        check("leadership lost" in self.operator.log(), "its log does not say why")

    def writes(self):
        """What it has written with success, Leases apart."""
        return [e for e in writes(self.run, 0, self.account)
                if e["objectRef"]["resource"] != "leases" and e["responseStatus"]["code"] < 300]


class Churn:
    """Specs that change all the time, in a way that brings pods and takes them away."""

    def __init__(self, run):
        self.run, self.n, self.ended = run, 0, threading.Event()
        self.thread = threading.Thread(target=self.change, daemon=True)
        self.thread.start()
        run.cleanup(self.stop)

    def change(self):
        while not self.ended.wait(0.2):
            self.n += 1
            try:
                self.run.kube.patch("flinkdep", self.run.namespaces[0], CLUSTERS[self.n % len(CLUSTERS)],
                                    {"spec": {"allocator": {"minTaskManagers": self.n // len(CLUSTERS) % 4}}})
            except (Failure, OSError):
                pass

    def stop(self):
        self.ended.set()
        self.thread.join(5)


def begin(run):
    """(who leads, the other one) with clusters, of which one has a job."""
    namespace(run)
    first = Contender(run, "a")
    wait("it leads", first.leads, SOON, 0.02)
    second = Contender(run, "b")
    flinks = [session(run, name) for name in CLUSTERS]
    job = submit(run, deployment=CLUSTERS[0])
    check(not second.leads(), "both lead")
    return first, second, flinks[0], job


def give_back(old):
    old.operator.stop()


def kill(old):
    old.operator.kill()


def stand_still(old):
    old.operator.process.send_signal(signal.SIGSTOP)


def cut_off(old):
    old.proxy.down()


def come_back(old, how):
    """The former one, when another one leads."""
    if how is stand_still:
        time.sleep(1)
        old.operator.process.send_signal(signal.SIGCONT)
    if how in (stand_still, cut_off):
        old.ends()
    if how is cut_off:
        old.proxy.up()


def change_hands(run, old, new, how):
    """Seconds until the new one leads. After its first write none of the old one's succeeds."""
    began = time.time()
    seen = len(new.writes())
    how(old)
    wait("the other one leads", new.leads, LEASE_S + 2 * LATE_S, 0.02)
    took = time.time() - began
    first = wait("it writes", lambda: new.writes()[seen:], SOON, 0.2)[0]
    come_back(old, how)
    late = [named(e) for e in old.writes() if answered(e) > moment(first)]
    equal(late, [], "writes of the former leader after the first one of the new one")
    return took


def settle(run, churn, flink, job):
    """All is as specified, and the job has been there all the time."""
    churn.stop()
    for name in CLUSTERS:
        cluster_ready(run, name)
    equal(job_ready(run), job, "the job's id")
    one_job(flink, job)


def once(run, how, at_most):
    old, new, flink, job = begin(run)
    churn = Churn(run)
    time.sleep(1)
    took = change_hands(run, old, new, how)
    check(took < at_most, f"it took {took:.1f} s until the other one led")
    settle(run, churn, flink, job)
    new.operator.stop()
    log_has_no(new.operator, "forbidden", "no lease", "lease not")
    run.note(f"the other one led after {took:.1f} s")


@test("the leader is asked to end: it gives its Lease back, and the other one leads at once")
def given_back(run):
    once(run, give_back, 3)


@test("the leader is killed: the other one leads when its Lease has run out", full=True)
def killed(run):
    once(run, kill, LEASE_S + LATE_S)


@test("the leader stands still and goes on: it writes nothing any more, and ends")
def stands_still(run):
    once(run, stand_still, LEASE_S + LATE_S)


@test("the leader is cut off from the API server: it ends before the other one leads")
def cut(run):
    once(run, cut_off, LEASE_S + LATE_S)


@test("20 times one of these, by chance, and each time a new one comes", full=True, timeout=900)
def again_and_again(run):
    old, new, flink, job = begin(run)
    churn, found = Churn(run), {}
    for _ in range(20):
        how = random.choice((kill, stand_still, cut_off))
        found.setdefault(how.__name__, []).append(change_hands(run, old, new, how))
        old.start()
        old, new = new, old
    settle(run, churn, flink, job)
    for how, took in found.items():
        took.sort()
        run.note(f"{how.replace('_', ' ')} {len(took)} times: {took[len(took) // 2]:.1f} s, at most {took[-1]:.1f} s")
