"""Conditions with a useful text and a deadline."""
import json
import os
import time

# A slow machine says so itself; nothing else makes deadlines or budgets longer.
SCALE = float(os.environ.get("TEST_SCALE", "1"))


class Failure(Exception):
    """What a test found wrong, for people to read."""


class Skip(Exception):
    """Why a test cannot run here."""


def check(condition, text):
    if not condition:
        raise Failure(text() if callable(text) else text)
    return condition


def equal(found, expected, what):
    if found != expected:
        raise Failure(f"{what}: expected {short(expected)}, found {short(found)}")


def short(value, limit=1500):
    text = value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)
    return text if len(text) <= limit else text[:limit] + " …"


def dig(value, path, otherwise=None):
    """dig(cr, "status.jobStatus.state"): None where there is nothing; numbers index lists."""
    for key in path.split("."):
        if isinstance(value, list) and key.lstrip("-").isdigit() and -len(value) <= int(key) < len(value):
            value = value[int(key)]
        elif isinstance(value, dict) and key in value:
            value = value[key]
        else:
            return otherwise
    return value


def wait(what, probe, seconds, every=0.2):
    """The first true value of probe(). One that raises a Failure or an OSError is asked again, and the last of them
    is told at the deadline."""
    start = time.monotonic()
    last = None
    while True:
        try:
            value = probe()
            if value:
                return value
            last = f"it gave {value!r}" if last is None else last
        except (Failure, OSError) as e:
            last = str(e) or type(e).__name__
        if time.monotonic() - start > seconds * SCALE:
            raise Failure(f"{what}: not within {seconds * SCALE:g} s; at the end: {short(last)}")
        time.sleep(every)


def holds(what, probe, seconds, every=0.5):
    """probe() stays true for so long; it says itself, with check, what is wrong."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        check(probe(), f"{what}: no longer true")
        time.sleep(every)
