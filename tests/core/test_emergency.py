"""The emergency kill: how its variables are read, and what it does to rules that are known, and to none."""

import base64
import json
import zlib
from pathlib import Path
from typing import Any

import pytest

from headgate.core.decision import decide
from headgate.core.documents import Invalid
from headgate.core.emergency import EVERY, NO_EMERGENCY, packed, read_emergency, running_work, unpacked
from headgate.core.flag import parse_flag
from headgate.core.model import Reach, Reason, RouteClass, Subject
from headgate.core.routes import RouteTable, parse_routes
from headgate.core.ruleset import ruleset
from headgate.core.snapshot import EMPTY, Snapshot, with_kills
from headgate_cli.manifest_file import read_manifest

USER, ADMIN = Subject("u"), Subject("a", admin=True)
ROOT = Path(__file__).parents[2]
WORK = [{"route": "DELETE /towns/{town}", "class": "stop"}, {"procedure": "town.watch", "class": "observe"}]


def rules(**members: Any) -> Snapshot:
    flags = {
        key: parse_flag({"key": key, "stage": "ga", **more}, salt="s")
        for key, more in {"access": {}, "convoys": {"requires": ["access"]}, "other": {}, **members}.items()
    }
    return Snapshot(ruleset(flags, 7))


def on(snapshot: Snapshot, subject: Subject) -> set[str]:
    return {
        key for key in ("access", "convoys", "other", "new") if decide(snapshot.rules, key, subject, gate=True).value
    }


def text(*policies: dict[str, Any]) -> str:
    return packed(parse_routes(list(policies)).policies())


@pytest.mark.parametrize("kill", ["", "  "])
def test_nothing_set_is_no_kill(kill: str) -> None:
    assert read_emergency(kill, text(*WORK)) == NO_EMERGENCY
    assert NO_EMERGENCY.unknown == EMPTY


@pytest.mark.parametrize(
    ("kill", "left"),
    [
        ("*", set()), ("access", {"other"}), ("convoys", {"access", "other"}), (" other , convoys ", {"access"}),
        ("true", set()), ("convoys,new", set()), ("access,*", set()),
    ],
)  # fmt: skip
def test_what_is_named_counts_as_killed(kill: str, left: set[str]) -> None:
    """A name that is no flag's is a slip: then every flag counts as killed."""
    laid = read_emergency(kill, "").laid_over(rules())
    assert on(laid, USER) == left
    assert on(laid, ADMIN) == {"access", "convoys", "other", "new"}
    assert laid.revision == 7


def test_the_reason_is_the_kill() -> None:
    laid = read_emergency("access", "").laid_over(rules())
    assert decide(laid.rules, "access", USER).reason is Reason.KILLED
    assert decide(laid.rules, "convoys", USER).reason is Reason.PREREQUISITE_FAILED


@pytest.mark.parametrize("kill", ["Access", "access;other", "access,,other", "1 2", "access,a/b", ",", "\u2217"])
def test_what_cannot_be_read_kills_every_flag(kill: str) -> None:
    found = read_emergency(kill, "")
    assert (found.flags, found.malformed) == ({EVERY}, ("kill",))
    assert on(found.laid_over(rules()), USER) == set()


def test_a_reach_is_never_lowered() -> None:
    severed = with_kills(rules(), {"access": "sever"})
    kill = read_emergency("*", "").laid_over(severed).rules.flags["access"].killed
    assert kill is not None
    assert kill.reach is Reach.SEVER
    mine = read_emergency("*", "").laid_over(rules()).rules.flags["access"].killed
    assert mine is not None
    assert mine.reach is Reach.GATE


def test_where_nothing_is_known_nobody_but_admins_is_let_in() -> None:
    for kill in ("*", "other"):
        unknown = read_emergency(kill, text(*WORK)).laid_over(read_emergency(kill, text(*WORK)).unknown)
        assert on(unknown, USER) == set()
        assert on(unknown, ADMIN) == {"access", "convoys", "other", "new"}
        assert unknown.routes.routes["DELETE /towns/{town}"].route_class is RouteClass.STOP
        assert unknown.routes.procedures["town.watch"].route_class is RouteClass.OBSERVE


def deflated(value: bytes) -> str:
    return base64.b64encode(zlib.compress(value)).decode()


@pytest.mark.parametrize(
    "routes",
    [
        "no base64!", base64.b64encode(b"no zlib").decode(), deflated(b"no json"), deflated(b"{}"), deflated(b"[[]]"),
        deflated(json.dumps([{"route": "POST /towns", "class": "entry"}]).encode()),
        deflated(json.dumps([{"route": "GET /towns", "class": "open"}]).encode()),
        deflated(json.dumps([{"route": "GET /towns", "class": "observe", "flags": ["access"]}]).encode()),
        deflated(b" " * 200_000 + b"[]"), deflated(b"[" * 100_000), "\u00e9",
    ],
    ids=["text", "bytes", "words", "object", "list", "entry", "open", "flags", "bomb", "deep", "unicode"],
)  # fmt: skip
def test_routes_that_cannot_be_read_are_none_and_the_kill_stands(routes: str) -> None:
    found = read_emergency("access", routes)
    assert (found.flags, found.routes, found.malformed) == ({"access"}, RouteTable(), ("routes",))
    with pytest.raises(Invalid):
        unpacked(routes)


def test_only_running_work_is_carried_the_most_needed_first() -> None:
    table = parse_routes(
        [
            {"route": "GET /a", "class": "observe"},
            {"route": "POST /b"},
            {"route": "POST /c", "class": "machine", "flags": ["convoys"]},
            {"procedure": "d", "class": "continue", "asks": ["convoys"]},
            {"route": "POST /e", "class": "machine"},
            {"route": "DELETE /f", "class": "stop"},
            {"route": "POST /g", "class": "admin"},
            {"route": "GET /h", "class": "open"},
        ]
    )
    carried = running_work(table)
    assert [policy.name for policy in carried] == ["DELETE /f", "POST /e", "d", "GET /a"]
    assert set(unpacked(packed(carried)).policies()) == set(carried), (
        "asks too: a worker takes a missing one from the token"
    )


def test_the_reference_manifest_fits() -> None:
    """An environment is 4 KB at most, in all."""
    carried = running_work(parse_routes(read_manifest(ROOT / "examples/gastown/manifest.yaml")["routes"]))
    assert len(carried) > 150
    assert len(packed(carried)) < 2_048
