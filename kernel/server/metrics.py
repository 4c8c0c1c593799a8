"""Counters of a server, as Prometheus reads them (text exposition format 0.0.4)."""

import time
from collections import Counter, defaultdict
from typing import Any

from nexus import __version__

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Metrics:
    """What was asked and how it was answered, since the start."""

    def __init__(self) -> None:
        self.started = time.time()
        self.requests: Counter[tuple[str, str, int]] = Counter()
        self.seconds: dict[str, float] = defaultdict(float)
        self.buckets: dict[str, list[int]] = defaultdict(lambda: [0] * (len(BUCKETS) + 1))
        self.refused: Counter[str] = Counter()
        self.under_way = 0
        self.sockets = 0

    def answered(self, method: str, operation: str, status: int, seconds: float) -> None:
        """Count one request."""
        self.requests[method, operation, status] += 1
        self.seconds[operation] += seconds
        buckets = self.buckets[operation]
        buckets[next((place for place, bound in enumerate(BUCKETS) if seconds <= bound), len(BUCKETS))] += 1

    def told(self) -> dict[str, Any]:
        """Return all of it as JSON can carry it, for `add` in another process."""
        return {
            "requests": [[*key, count] for key, count in self.requests.items()],
            "seconds": dict(self.seconds),
            "buckets": dict(self.buckets),
            "refused": dict(self.refused),
            "under_way": self.under_way,
            "sockets": self.sockets,
        }

    def add(self, told: dict[str, Any], *, alive: bool = True) -> None:
        """Add what another process told; of one that is not there any more only what was counted."""
        for method, operation, status, count in told["requests"]:
            self.requests[method, operation, status] += count
        for operation, seconds in told["seconds"].items():
            self.seconds[operation] += seconds
        for operation, counts in told["buckets"].items():
            self.buckets[operation] = [a + b for a, b in zip(self.buckets[operation], counts, strict=True)]
        self.refused.update(told["refused"])
        if alive:
            self.under_way += told["under_way"]
            self.sockets += told["sockets"]

    def text(self, memory_bytes: int, live: dict[str, int], more: list[str] | None = None) -> bytes:
        """Return all of it, and `more` lines that are not counted here."""
        lines = [
            *(more or ()),
            *_head("nexus_info", "gauge", "The version that runs."),
            f'nexus_info{{version="{__version__}"}} 1',
            *gauge("nexus_start_time_seconds", "When the server started.", self.started),
            *gauge("nexus_memory_bytes", "Resident memory of the kernel's process.", memory_bytes),
            *gauge("nexus_requests_under_way", "Requests that are not answered yet.", self.under_way),
            *gauge("nexus_websockets", "WebSocket connections.", self.sockets),
            *_head("nexus_live", "gauge", "What is at work in the kernel."),
            *(f'nexus_live{{kind="{kind}"}} {count}' for kind, count in sorted(live.items())),
            *_head("nexus_requests_refused_total", "counter", "Requests that a bound of the server turned away."),
            *(f'nexus_requests_refused_total{{reason="{name}"}} {n}' for name, n in sorted(self.refused.items())),
            *_head("nexus_requests_total", "counter", "Requests, by operation and status."),
            *(
                f'nexus_requests_total{{method="{method}",operation="{operation}",status="{status}"}} {count}'
                for (method, operation, status), count in sorted(self.requests.items())
            ),
            *_head("nexus_request_seconds", "histogram", "How long requests took."),
            *self._histogram(),
        ]
        return ("\n".join(lines) + "\n").encode()

    def _histogram(self) -> list[str]:
        lines = []
        for operation, counts in sorted(self.buckets.items()):
            total = 0
            for bound, count in zip((*BUCKETS, "+Inf"), counts, strict=True):
                total += count
                lines.append(f'nexus_request_seconds_bucket{{operation="{operation}",le="{bound}"}} {total}')
            lines.append(f'nexus_request_seconds_sum{{operation="{operation}"}} {self.seconds[operation]:.6f}')
            lines.append(f'nexus_request_seconds_count{{operation="{operation}"}} {total}')
        return lines


def _head(name: str, kind: str, told: str) -> list[str]:
    return [f"# HELP {name} {told}", f"# TYPE {name} {kind}"]


def gauge(name: str, told: str, value: float) -> list[str]:
    """Return the lines of one gauge."""
    return [*_head(name, "gauge", told), f"{name} {value}"]
