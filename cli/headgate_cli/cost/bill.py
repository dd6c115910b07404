"""What a month of traffic costs, and how close its busiest second comes to AWS's limits. Arithmetic only.

The cost of the protected service's own function is not part of it. Requests that read only when a refresh is due cost
one read every four seconds for each execution environment. The number of environments follows from Little's law: the
requests in the busiest second, times their duration.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil

from headgate_cli.cost.figures import Figures, Mix, Usage

MONTH = 730 * 3_600
"""Seconds, as AWS counts a month."""
GB = 1e9


@dataclass(frozen=True, slots=True)
class Bill:
    """Dollars for one month. `by_service` grows with the traffic, `fixed` does not. `load` is a share of each limit."""

    requests: int
    by_service: Mapping[str, float]
    fixed: float
    load: Mapping[str, float]

    @property
    def total(self) -> float:
        """Dollars for the month."""
        return sum(self.by_service.values()) + self.fixed

    @property
    def per_million(self) -> float:
        """Dollars for a million of these requests, without what is fixed."""
        return sum(self.by_service.values()) / self.requests * 1e6 if self.requests else 0.0


@dataclass(frozen=True, slots=True)
class Fleet:
    """The execution environments of one function: how many at once, how many starts and refreshes in a month."""

    at_once: int
    cold_starts: int
    refreshes: int


Kinds = list[tuple[Usage, int]]


def duration_ms(usage: Usage, figures: Figures) -> int:
    """Return the billed milliseconds of one invocation in a warm environment."""
    known = figures.assumptions
    return usage.compute_ms + int(usage.calls * known["store_ms"] + usage.signs * known["sign_ms"])


def bill(mix: Mix, figures: Figures) -> Bill:
    """Return what the mix costs."""
    known, prices = figures.assumptions, figures.prices
    kinds = [(figures.requests[kind], count) for kind, count in mix.requests.items() if count]
    fleets = _fleets(kinds, mix.peak, figures)
    requests = sum(count for _usage, count in kinds)
    cold_starts = sum(fleet.cold_starts for fleet in fleets)
    reads = sum(count * usage.reads for usage, count in kinds) + sum(fleet.refreshes for fleet in fleets)
    writes = sum(count * usage.writes for usage, count in kinds)
    signs = sum(count * usage.signs for usage, count in kinds)
    busy_ms = sum(count * duration_ms(usage, figures) for usage, count in kinds) + cold_starts * known["cold_start_ms"]
    logged = sum(count * (usage.log_bytes + known["access_log_bytes"]) for usage, count in kinds)
    sent = sum(count * usage.answer_bytes for usage, count in kinds)
    by_service = {
        "API Gateway": requests * prices["api_request"],
        "Lambda": requests * prices["lambda_request"] + busy_ms * _millisecond(figures),
        "DynamoDB": (reads + cold_starts * known["cold_start_reads"]) * prices["read_unit"]
        + writes * prices["write_unit"],
        "KMS": (signs + cold_starts * known["cold_start_key_requests"]) * prices["key_request"],
        "logs": logged / GB * prices["log_gb"],
        "transfer": sent / GB * prices["sent_gb"],
    }
    return Bill(requests, by_service, _fixed(kinds, figures), _load(kinds, fleets, mix.peak, figures))


def _millisecond(figures: Figures) -> float:
    known = figures.assumptions
    return float(known["memory_gb"] * figures.prices[f"lambda_gb_second_{known['architecture']}"] / 1_000)


def _fleets(kinds: Kinds, peak: float, figures: Figures) -> list[Fleet]:
    known = figures.assumptions
    by_function: defaultdict[str, Kinds] = defaultdict(list)
    for usage, count in kinds:
        by_function[usage.function].append((usage, count))
    fleets = []
    for served in by_function.values():
        busy_s = sum(count * duration_ms(usage, figures) for usage, count in served) / 1_000
        at_once = ceil(busy_s * peak / MONTH)
        starts, refreshes = (ceil(at_once * MONTH / known[each]) for each in ("environment_life_s", "refresh_s"))
        requests = sum(count for _usage, count in served)
        refreshing = sum(count for usage, count in served if usage.refreshes)
        fleets.append(Fleet(at_once, min(requests, starts), min(refreshing, refreshes)))
    return fleets


def _fixed(kinds: Kinds, figures: Figures) -> float:
    fixed, known, prices = figures.fixed, figures.assumptions, figures.prices
    metrics = {*fixed["metrics"], *(metric for usage, _count in kinds for metric in usage.metrics)}
    measurement = prices["lambda_request"] + known["cold_start_ms"] * _millisecond(figures)
    return float(
        fixed["keys"] * prices["key_month"]
        + fixed["alarm_metrics"] * prices["alarm_metric_month"]
        + fixed["dashboards"] * prices["dashboard_month"]
        + len(metrics) * prices["metric_month"]
        + known["stored_gb"] * prices["stored_gb"]
        + fixed["measurements"] * (measurement + known["cold_start_reads"] * prices["read_unit"])
    )


def _load(kinds: Kinds, fleets: list[Fleet], peak: float, figures: Figures) -> dict[str, float]:
    """Return which share of each limit the busiest second uses."""
    rates = [(usage, count * peak / MONTH) for usage, count in kinds]
    requests = sum(rate for _usage, rate in rates)
    used = {
        "head reads": sum(rate for usage, rate in rates if usage.reads)
        + sum(fleet.refreshes for fleet in fleets) / MONTH,
        "signatures": sum(rate * usage.signs for usage, rate in rates),
        "concurrency": sum(fleet.at_once for fleet in fleets),
        "invocations": requests + sum(rate for usage, rate in rates if usage.reaches_service),
        "requests": requests,
    }
    return {name: used[name] / most for name, most in figures.limits.items()}
