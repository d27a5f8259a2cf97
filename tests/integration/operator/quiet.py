"""The end of the quiet minute that objects.quiet_begins has begun: so many tests have run beside it that nobody waits."""
import time

from lib.check import check, equal
from lib.plane import moment, named
from lib.plane_scene import job_ready
from lib.suite import test
from objects import QUIET


@test("a quiet minute: no request but watches, with a running job", timeout=180)
def minute(run):
    began = QUIET.get("run")
    check(began, "`objects.quiet_begins` has not run")
    time.sleep(max(0, QUIET["since"] + 60 - time.time()))
    until = QUIET["since"] + 60
    asked = [e for e in run.plane.requests(began.account, QUIET["since"]) if moment(e) < until and e["verb"] != "watch"]
    job_ready(began)
    equal([named(e) for e in asked], [], "requests in a quiet minute")
    began.operators[0].stop()
    run.plane.after(began)
