"""What the tests that need a Kubernetes share; Python's standard library and nothing else.

    check.py     check, equal, wait: conditions with a useful text and a deadline
    suite.py     @test, and the runner: one line per test, then the count
    kube.py      a cluster, by kubectl and over one `kubectl proxy`
    flink.py     a JobManager's REST API, through the API server
    manifests.py FlinkDeployments and what belongs to them, short to write
    bed.py       a bed of tests/bed
    operator.py  the operator: its image, its Deployment, or a process of this machine
    collect.py   all that can be known about namespaces, in files, when a test has failed
    tiers.py     `make test`
"""
