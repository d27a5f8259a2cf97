"""A JobManager's REST API, through the API server's proxy, as people reach it with kubectl alone."""
import json

from lib.check import Failure, check
from lib.kube import ApiError


class Flink:
    def __init__(self, kube, ns, cluster, port=8081):
        self.kube = kube
        self.base = f"api/v1/namespaces/{ns}/services/{cluster}-rest:{port}/proxy"

    def request(self, method, path, body=None, **options):
        return self.kube.request(method, self.base + path, body, **options)

    def get(self, path, **options):
        return json.loads(self.request("GET", path, **options))

    def post(self, path, body=None, **options):
        return json.loads(self.request("POST", path, body, **options) or b"null")

    def overview(self):
        return self.get("/overview")

    def jobs(self):
        return self.get("/jobs/overview")["jobs"]

    def job(self, job_id):
        return next((j for j in self.jobs() if j["jid"] == job_id), None)

    def cancel(self, job_id):
        try:
            self.request("PATCH", f"/jobs/{job_id}?mode=cancel")
        except ApiError as e:
            if e.status not in (404, 409):
                raise

    def running(self, job_id):
        """The job with all of its tasks RUNNING, or FINISHED as of a source that got no split (one of another parallelism than its
        checkpoint) beside others that run: for wait()."""
        job = check(self.job(job_id), f"Flink has no job {job_id}")
        tasks = {k: v for k, v in job["tasks"].items() if v}
        if job["state"] != "RUNNING" or not tasks.get("running") or tasks["running"] + tasks.get("finished", 0) != tasks["total"]:
            raise Failure(f"job {job['name']} is {job['state']}, tasks {tasks}")
        return job

    def records(self, job_id):
        """Records that the job's first vertex has sent on. Flink remembers a job for a few seconds, so that at first it
        may have no vertex."""
        vertices = self.get(f"/jobs/{job_id}")["vertices"]
        return int(vertices[0]["metrics"]["write-records"] or 0) if vertices else 0

    def flowing(self, job_id, since=0):
        """The number of records once it is more than since, for wait()."""
        n = self.records(job_id)
        check(n > since, f"{n} records")
        return n
