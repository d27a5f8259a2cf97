"""Registers tests and runs them: one line for each, then the count."""
import argparse
import fnmatch
import os
import shutil
import signal
import sys
import time
import traceback

from lib.check import SCALE, Failure, Skip

TESTS = []


class Test:
    def __init__(self, run, title, full, timeout):
        self.run, self.title, self.full, self.timeout = run, title, full, timeout
        self.id = f"{run.__module__.split('.')[-1]}.{run.__name__}"


def test(title, full=False, timeout=300):
    """A test is a function of one argument, its Run. full: only in `make test-full`."""
    def register(run):
        TESTS.append(Test(run, title, full, timeout))
        return run
    return register


class Run:
    """One test while it runs."""

    def __init__(self, test, env, folder):
        self.test, self.env, self.dir = test, env, folder
        self.notes, self.at_end = [], []
        self.started = time.monotonic()

    def note(self, text):
        """A figure for the result's line."""
        self.notes.append(text)

    def cleanup(self, function, *arguments):
        """To be called at the end, last come first served, whatever happens."""
        self.at_end.append((function, arguments))

    def file(self, name, text):
        os.makedirs(self.dir, exist_ok=True)
        path = os.path.join(self.dir, name)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        return path


class TooLong(Exception):
    """Raised into a test that has used up its time."""


def on_alarm(_signal, _frame):
    raise TooLong()


def clean_up(run):
    """What went wrong with it, a line each."""
    wrong = []
    for function, arguments in reversed(run.at_end):
        try:
            function(*arguments)
        except Exception as e:  # pylint: disable=broad-except
            wrong.append(f"cleaning up: {e}")
    return wrong


def one(test, env, folder):
    """(verdict, seconds, text) of a test."""
    shutil.rmtree(folder, ignore_errors=True)
    run = Run(test, env, folder)
    seconds = test.timeout * SCALE
    verdict, text = "ok", ""
    signal.signal(signal.SIGALRM, on_alarm)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        env.before(run)
        test.run(run)
        text = "; ".join(run.notes)
    except Skip as e:
        verdict, text = "skipped", str(e)
    except TooLong:
        verdict, text = "FAILED", f"not done after {seconds:g} s\n" + traceback.format_exc(limit=-6)
    except Failure as e:
        where = traceback.extract_tb(e.__traceback__)
        place = next((f for f in reversed(where) if "/lib/" not in f.filename), where[-1])
        verdict, text = "FAILED", f"{e}\n(at {os.path.basename(place.filename)}:{place.lineno})"
    except Exception:  # pylint: disable=broad-except
        verdict, text = "FAILED", traceback.format_exc()
    except BaseException:  # the runner is told to end
        clean_up(run)
        raise
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    took = time.monotonic() - run.started
    if verdict == "FAILED":
        try:
            env.failed(run)
            text += f"\nmore in {os.path.relpath(folder)}"
        except Exception as e:  # pylint: disable=broad-except
            text += f"\nand nothing could be collected: {e}"
    if wrong := clean_up(run):
        verdict, text = "FAILED", "\n".join([text, *wrong]).strip()
    return verdict, took, text


def arguments(description):
    p = argparse.ArgumentParser(description=description)
    p.add_argument("filter", nargs="*", help="parts of names, or patterns such as 'causes.*'; default: all")
    p.add_argument("--full", action="store_true", help="also the tests that take long")
    p.add_argument("--list", action="store_true", help="name the tests and end")
    p.add_argument("--fail-fast", action="store_true", help="end at the first failure")
    return p


def chosen(options):
    def fits(test):
        return not options.filter or any(
            f in test.id or fnmatch.fnmatch(test.id, f) for f in options.filter)
    named = [t for t in TESTS if fits(t)]
    return [t for t in named if options.full or not t.full], sum(t.full for t in named)


def run(options, env, folder):
    """Runs what was chosen; the exit code."""
    tests, full = chosen(options)
    if options.list:
        for t in TESTS:
            print(f"{t.id:32} {t.title}{'  (full)' if t.full else ''}")
        return 0
    count = {"ok": 0, "FAILED": 0, "skipped": 0}
    try:
        env.start()
        for t in tests:
            verdict, took, text = one(t, env, os.path.join(folder, t.id))
            count[verdict] += 1
            first, *more = (text or "").split("\n")
            said = f": {first}" if verdict == "skipped" else f" [{first}]" if first and not more else ""
            print(f"{verdict:8}{took:6.1f} s  {t.id}: {t.title}{said}", flush=True)
            if verdict == "FAILED":
                for line in [first, *more] if not said or more else more:
                    print(f"            {line}", flush=True)
                if options.fail_fast:
                    break
    except Failure as e:
        print(f"FAILED            the set-up: {e}", flush=True)
        count["FAILED"] += 1
    finally:
        env.stop(count["FAILED"])
    if full and not options.full:
        print(f"left out: {full} tests that take long; --full runs them too")
    skipped = f", {count['skipped']} skipped" if count["skipped"] else ""
    print(f"{count['ok']} passed, {count['FAILED']} failed{skipped}", flush=True)
    return 1 if count["FAILED"] or not count["ok"] else 0


def interrupted(_signal, _frame):
    sys.exit(130)


signal.signal(signal.SIGTERM, interrupted)
