"""Counters for Prometheus, in a registry of the service's own."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, PlatformCollector, ProcessCollector
from prometheus_client import generate_latest as _generate

SECONDS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1000)


class Metrics:
    """What the service counts."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        self._requests = Counter(
            "deep_protection_requests", "Requests answered.", ("method", "route", "status"), registry=self.registry
        )
        self._request_seconds = Histogram(
            "deep_protection_request_seconds", "Time to answer.", ("route",), buckets=SECONDS, registry=self.registry
        )
        self.jobs = Counter("deep_protection_jobs", "Jobs that ended.", ("kind", "state"), registry=self.registry)
        self.job_seconds = Histogram(
            "deep_protection_job_seconds", "Time a job ran.", ("kind",), buckets=SECONDS, registry=self.registry
        )
        self.wait_seconds = Histogram(
            "deep_protection_wait_seconds", "Time a job waited.", buckets=SECONDS, registry=self.registry
        )
        self.refused = Counter("deep_protection_refused", "Jobs refused: queue full.", registry=self.registry)
        self.deaths = Counter("deep_protection_worker_deaths", "Workers that died.", registry=self.registry)
        self.storage_errors = Counter(
            "deep_protection_storage_errors", "Failures of disk or job table.", registry=self.registry
        )

    def watch(self, name: str, what: str, value: Callable[[], float]) -> None:
        """A gauge that is asked when it is read."""
        Gauge(f"deep_protection_{name}", what, registry=self.registry).set_function(value)

    def asked(self, method: str, route: str, status: int, seconds: float) -> None:
        known = method if method in ("GET", "POST", "DELETE", "HEAD") else "other"
        self._requests.labels(known, route, str(status)).inc()
        self._request_seconds.labels(route).observe(seconds)

    def text(self) -> bytes:
        return _generate(self.registry)
