"""Tests that hold for every Flink series: with the main one in `make test`, with all of them in `make test-full`."""
from lib.suite import test

MAIN = "1.20"
SERIES = (MAIN, "1.18", "2.2")


def each_series(title, full=False, timeout=300):
    """A test is a function of its Run and the series. Those of other series than the main one have it in their name."""
    def register(function):
        for series in SERIES:
            def case(run, series=series):
                function(run, series)
            other = series != MAIN
            case.__module__ = function.__module__
            case.__name__ = function.__name__ + ("_" + series.replace(".", "_") if other else "")
            test(title + (f", Flink {series}" if other else ""), full=full or other, timeout=timeout)(case)
        return function
    return register
