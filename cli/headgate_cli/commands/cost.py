"""`headgate cost`: estimate what a stack costs in a month, and what limits it."""

import re
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from headgate_cli import render
from headgate_cli.options import option
from headgate_cli.settings import settings_of

if TYPE_CHECKING:
    from headgate_cli.cost.bill import Bill
    from headgate_cli.cost.figures import Figures

_FACTORS = {"": 1, "k": 1_000, "M": 1_000_000, "G": 1_000_000_000}


def parse_count(text: str) -> int:
    """Parse a number of requests, such as 250k or 10M. Raises a usage error."""
    found = re.fullmatch(r"([0-9]{1,15}(?:\.[0-9]{1,9})?)([kMG]?)", text)
    if found is None:
        raise typer.BadParameter("a number of requests looks like 5000, 250k, 1.5M, or 2G")
    return round(float(found[1]) * _FACTORS[found[2]])


_count = partial(option, metavar="N", parser=parse_count)


def estimate(
    ctx: typer.Context,
    authorized: Annotated[int | None, _count(help="Guarded requests without flags.")] = None,
    live: Annotated[int | None, _count(help="Guarded requests with a live decision.")] = None,
    exchanges: Annotated[int | None, _count(help="Tokens exchanged.")] = None,
    evaluations: Annotated[int | None, _count(help="Evaluations of one flag.")] = None,
    refused: Annotated[int | None, _count(help="Requests refused at the gate.")] = None,
    x86: Annotated[bool, typer.Option("--x86", help="Calculate with x86 instead of arm64.")] = False,
) -> None:
    """Estimate what a stack costs in a month, and what limits it.

    For five mixes of traffic, or for your own. N is a number of requests in a month, such as 250k or 10M. Prices are
    those of one Region and one day, without free tiers; docs/cost.md says what is measured and what is assumed.

    Example: headgate cost --authorized 10M --live 2M --exchanges 1M
    """
    from headgate_cli.cost.bill import bill
    from headgate_cli.cost.figures import Mix, read_figures

    figures = read_figures()
    if x86:
        figures = replace(figures, assumptions={**figures.assumptions, "architecture": "x86_64"})
    asked = {"continue": authorized, "live": live, "exchange": exchanges, "evaluation": evaluations, "refused": refused}
    own = {kind: number for kind, number in asked.items() if number is not None}
    mixes = {"yours": Mix(own, figures.assumptions["peak"])} if own else figures.mixes
    bills = {name: bill(mix, figures) for name, mix in mixes.items()}
    if settings_of(ctx).as_json:
        render.show_json(_document(figures, bills))
        return
    _show(figures, bills)


def _document(figures: "Figures", bills: "dict[str, Bill]") -> dict[str, Any]:
    return {
        "as_of": figures.as_of.isoformat(),
        "region": figures.region,
        "architecture": figures.assumptions["architecture"],
        "mixes": [
            {"name": name, "requests": one.requests, "dollars": _cents(one.total), "fixed": _cents(one.fixed),
             "per_million": _cents(one.per_million),
             "by_service": {service: _cents(dollars) for service, dollars in one.by_service.items()},
             "load": {limit: round(share, 4) for limit, share in one.load.items()}}
            for name, one in bills.items()
        ],
    }  # fmt: skip


def _cents(dollars: float) -> float:
    return round(dollars, 2)


def _show(figures: "Figures", bills: "dict[str, Bill]") -> None:
    first = next(iter(bills.values()))
    render.show_lines([f"Dollars a month, {figures.region}, list prices of {figures.as_of}, without free tiers"])
    render.show_table(
        ("traffic", "requests", *first.by_service, "fixed", "total", "per million"),
        [
            (name, f"{one.requests:,}", *(f"{dollars:,.2f}" for dollars in one.by_service.values()),
             f"{one.fixed:,.2f}", f"{one.total:,.2f}", f"{one.per_million:,.2f}")
            for name, one in bills.items()
        ],
    )  # fmt: skip
    render.show_lines(["", "The busiest second, as a share of AWS's limits"])
    rows = [(name, *(f"{share:.1%}" for share in one.load.values())) for name, one in bills.items()]
    render.show_table(("traffic", *first.load), rows)
