"""The figures that a bill is calculated from, as `prices.yaml` beside this module holds them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

PRICES = Path(__file__).with_name("prices.yaml")


@dataclass(frozen=True, slots=True)
class Usage:
    """What one request uses of AWS. `reads` and `writes` are DynamoDB's units, `calls` its round trips."""

    event: str
    compute_ms: int
    calls: int = 0
    reads: int = 0
    writes: int = 0
    signs: int = 0
    log_bytes: int = 0
    answer_bytes: int = 0
    refreshes: bool = False
    reaches_service: bool = False
    metrics: tuple[str, ...] = ()

    @property
    def function(self) -> str:
        """The function that serves it."""
        return self.event.partition(".")[0]


@dataclass(frozen=True, slots=True)
class Mix:
    """The requests of one month, by kind, and how many times the mean rate the busiest second has."""

    requests: Mapping[str, int]
    peak: float


@dataclass(frozen=True, slots=True)
class Figures:
    """Prices in dollars for one unit; limits in units a second (concurrency: at once)."""

    as_of: date
    region: str
    prices: Mapping[str, float]
    limits: Mapping[str, int]
    fixed: Mapping[str, Any]
    assumptions: Mapping[str, Any]
    requests: Mapping[str, Usage]
    mixes: Mapping[str, Mix]


def read_figures() -> Figures:
    """Read the file."""
    import yaml

    held = yaml.safe_load(PRICES.read_text(encoding="utf-8"))
    usual = held["assumptions"]["peak"]
    return Figures(
        as_of=date.fromisoformat(held["as_of"]),
        region=held["region"],
        prices={name: one["dollars"] / one["per"] for name, one in held["prices"].items()},
        limits={name: one["most"] for name, one in held["limits"].items()},
        fixed=held["fixed"],
        assumptions=held["assumptions"],
        requests={
            kind: Usage(**{**one, "metrics": tuple(one.get("metrics", ()))}) for kind, one in held["requests"].items()
        },
        mixes={
            name: Mix({kind: count for kind, count in one.items() if kind != "peak"}, one.get("peak", usual))
            for name, one in held["mixes"].items()
        },
    )
