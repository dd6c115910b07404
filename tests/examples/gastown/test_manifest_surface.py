"""The reference manifest against the surface it classifies: each route and procedure once, rightly, and nothing else.

surface.json holds the facts about the service; this test knows nothing of how the manifest is read elsewhere.
"""

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

HERE = Path(__file__).parent
SURFACE: dict[str, Any] = json.loads((HERE / "surface.json").read_text(encoding="utf-8"))
MANIFEST: dict[str, Any] = yaml.safe_load(
    (HERE.parents[2] / "examples/gastown/manifest.yaml").read_text(encoding="utf-8")
)
SUB_FEATURES = ("gastown-convoys", "gastown-pr-merge", "gastown-multi-rig", "gastown-molecules")


def gastown_routes() -> Iterator[tuple[str, str]]:
    """(route key, what it is) of the service's own HTTP surface."""
    for row in SURFACE["gastown"]:
        for what in sorted(row.keys() - {"under"}):
            for listed in row[what].split(" | "):
                method, _, path = listed.partition(" ")
                yield f"{method} {row['under']}{path}", what


def worker_routes() -> Iterator[tuple[str, str]]:
    """(route key, what it is) of the reference worker."""
    return ((route, what) for what, routes in SURFACE["worker"].items() for route in routes)


def procedures() -> Iterator[tuple[str, str]]:
    """(procedure, what it is)."""
    for what, names in SURFACE["procedures"].items():
        yield from ((f"gastown.{name}", what) for name in names.split())


EXPECTED = dict(gastown_routes()) | dict(worker_routes()) | dict(procedures())  # the worker's table wins
LISTED = {entry.get("route") or entry.get("procedure"): entry for entry in MANIFEST["routes"]}


def meant(entry: dict[str, Any]) -> dict[str, Any]:
    """An entry with what it leaves unsaid: `entry` without flags means the access flag."""
    unsaid = [MANIFEST["access"]] if entry["class"] == "entry" else []
    found = {"class": entry["class"], "flags": entry.get("flags", unsaid), "asks": entry.get("asks", [])}
    return {name: value for name, value in found.items() if value}


def test_the_facts_are_whole() -> None:
    names = [name for name, _ in procedures()]
    assert len(names) == len(set(names)) == 65
    routes = [route for route, _ in gastown_routes()]
    assert len(routes) == len(set(routes)) == 143
    assert len(list(worker_routes())) == 16


def test_each_is_listed_exactly_once() -> None:
    names = Counter(entry.get("route") or entry.get("procedure") for entry in MANIFEST["routes"])
    assert [name for name, count in names.items() if count > 1] == []
    assert set(EXPECTED) - set(names) == set(), "the surface has what the manifest lacks"
    assert set(names) - set(EXPECTED) == set(), "the manifest has what the surface lacks"


@pytest.mark.parametrize("name", EXPECTED)
def test_each_is_what_it_is(name: str) -> None:
    assert meant(LISTED[name]) == SURFACE["meaning"][EXPECTED[name]]


def test_an_entry_names_a_route_or_a_procedure_and_no_unknown_member() -> None:
    for entry in MANIFEST["routes"]:
        assert ("route" in entry) != ("procedure" in entry), entry
        assert entry.keys() <= {"route", "procedure", "class", "flags", "asks"}, entry


def test_every_flag_that_a_route_names_is_declared() -> None:
    declared = {flag["key"] for flag in MANIFEST["flags"]}
    named = {key for entry in MANIFEST["routes"] for key in (*entry.get("flags", ()), *entry.get("asks", ()))}
    assert named == declared == {"gastown-access", *SUB_FEATURES}


def test_no_two_routes_differ_in_a_parameter_s_name_alone() -> None:
    """API Gateway refuses such a pair."""
    shapes = Counter(
        " ".join("{}" if part.startswith("{") else part for part in name.split("/")) for name in LISTED if "/" in name
    )
    assert [shape for shape, count in shapes.items() if count > 1] == []


def test_the_flags_hold_what_the_product_relies_on() -> None:
    flags = {flag["key"]: flag for flag in MANIFEST["flags"]}
    assert MANIFEST["access"] == "gastown-access"
    assert flags["gastown-access"]["claim"] == "gastownAccess"
    assert flags["gastown-pr-merge"]["values"] == {"on": "pr", "off": "direct"}
    for key in SUB_FEATURES:
        assert flags[key]["requires"] == ["gastown-access"]


def test_what_operators_do_to_a_flag_is_not_the_manifest_s_to_take_back() -> None:
    """A flag without a stage begins at admin_only; what is left out keeps its live value when applied again."""
    members = {member for flag in MANIFEST["flags"] for member in flag}
    assert members == {"key", "claim", "requires", "values", "description"}


def test_the_token_is_the_one_that_the_product_reads() -> None:
    assert MANIFEST["token"] == {
        "lifetime": 3600,
        "claims": {"kiloUserId": "$user", "isAdmin": "$admin", "version": 3},
    }
    assert MANIFEST["max_stale"] == 60
    assert MANIFEST.keys() == {"access", "max_stale", "token", "flags", "routes"}


def test_work_that_runs_is_never_cut() -> None:
    """Outside `entry`, a flag that must be on stands only where a machine starts something new."""
    cut = {name for name, entry in LISTED.items() if entry.get("flags") and entry["class"] != "entry"}
    assert cut == {name for name, what in EXPECTED.items() if what.startswith("MACH, NEW")}
