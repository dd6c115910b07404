"""The admin API asks before a change takes access away or opens a route, and its plan says what its preview says."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from desk import Ask, Desk, Reply, quiet
from fake_clock import FakeClock
from reference_table import Overtaken

WHY = {"reason": "a test"}
NEW = {"if-none-match": "*"}
APPLY, PLAN, PREVIEW = "POST /admin/v1/manifest", "POST /admin/v1/manifest/plan", "POST /admin/v1/preview"
ROUTES = "PUT /admin/v1/routes"
ENTRY, ADMIN, OPEN = ({"route": "POST /x", "class": name} for name in ("entry", "admin", "open"))
BASE = {
    "access": "access",
    "token": {"claims": {"userId": "$user", "isAdmin": "$admin"}},
    "flags": [
        {"key": "access", "stage": "ga"},
        {"key": "beta", "stage": "allowlist", "requires": ["access"], "claim": "beta",
         "values": {"on": "pr", "off": "direct"}},
    ],
    "routes": [{**ENTRY, "flags": ["access", "beta"], "asks": ["beta"]}, {"route": "GET /y", "class": "admin"}],
}  # fmt: skip


class Gate:
    """An operator of a gate with these rules."""

    def __init__(self, *manifests: Any) -> None:
        self.clock, self.table = FakeClock(), Overtaken()
        self.desk = Desk(self.table, self.clock)
        for manifest in manifests or (BASE,):
            assert self.says(APPLY, manifest).status == 200

    def says(self, route: str, body: Any, *, key: str | None = None, **headers: str) -> Reply:
        """Send a call with the current ETag."""
        path = {} if key is None else {"key": key}
        reads = {ROUTES: "GET /admin/v1/routes", "PUT /admin/v1/flags/{key}": "GET /admin/v1/flags/{key}",
                 "DELETE /admin/v1/flags/{key}": "GET /admin/v1/flags/{key}"}  # fmt: skip
        if route in reads and not headers:
            headers = {"if-match": self.desk.must(Ask(reads[route], path=path)).etag}
        return self.desk.answers(Ask(route, body if route == PREVIEW else {**WHY, **body}, path, headers))

    def deletes(self, key: str, **words: bool) -> Reply:
        return self.says("DELETE /admin/v1/flags/{key}", words, key=key)

    def routes(self, *policies: Any, **words: bool) -> Reply:
        return self.says(ROUTES, {"routes": policies, **words})

    def kills(self, key: str, reach: str) -> None:
        until = {"drain_until": "2099-01-01T00:00:00Z"} if reach == "drain" else {}
        assert self.says("POST /admin/v1/flags/{key}/kill", {"reach": reach, **until}, key=key).status == 200


@pytest.fixture(autouse=True)
def _silence() -> Iterator[None]:
    with quiet():
        yield


def paths(reply: Reply) -> list[str]:
    return [error["path"] for error in reply.body["errors"]]


def flag(place: int, **members: Any) -> dict[str, Any]:
    """The base with one flag changed."""
    flags = [dict(one) for one in BASE["flags"]]  # type: ignore[attr-defined]
    flags[place] |= members
    return {**BASE, "flags": flags}


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        (flag(1, values={"on": "direct", "off": "direct"}), ["flags.beta.values"]),
        (flag(1, claim=None), ["flags.beta.claim"]),
        ({**BASE, "token": {"claims": {"userId": "$user"}}}, ["token.claims.isAdmin"]),
        ({**BASE, "access": "beta"}, ["access"]),
        ({"max_stale": 5}, ["token.claims.isAdmin", "token.claims.userId", "access"]),
        ({**BASE, "routes": [{**ENTRY, "flags": ["access", "beta"]}, {"route": "GET /y", "class": "admin"}]},
         ["routes.POST /x.asks"]),
        ({**BASE, "routes": [{**ENTRY, "class": "admin", "asks": ["beta"]}, {"route": "GET /y", "class": "admin"}]},
         ["routes.POST /x.class"]),
    ],
)  # fmt: skip
def test_a_manifest_that_takes_access_away_names_each_place(after: Any, expected: list[str]) -> None:
    gate = Gate()
    refused = gate.says(APPLY, after)
    assert (refused.status, refused.slug, paths(refused)) == (409, "would-shrink", expected)
    plan = gate.says(PLAN, after).body
    assert (plan["shrinks"], plan["opens"]) == (True, False)
    assert gate.says(APPLY, {**after, "allow_shrink": True}).status == 200


def test_entry_then_not_listed_then_admin_asks() -> None:
    gate = Gate({**BASE, "routes": [ENTRY]})
    assert gate.routes().status == 200
    refused = gate.routes(ADMIN)
    assert (refused.slug, paths(refused)) == ("would-shrink", ["routes.POST /x.class"])
    assert gate.routes(OPEN).slug == "would-open"
    assert gate.says(APPLY, {"routes": [OPEN]}).slug == "would-open"
    assert gate.routes(ADMIN, allow_shrink=True).status == 200


def test_the_first_policies_of_a_service_open_and_shrink_nothing() -> None:
    gate = Gate({"flags": BASE["flags"]})
    assert gate.says(PLAN, {"routes": [ADMIN, {"route": "GET /y", "class": "open"}]}).body["opens"] is False
    assert gate.routes(ADMIN, {"route": "GET /y", "class": "open"}).status == 200


@pytest.mark.parametrize("body", ["{}", "not json", '{"routes": 5, "version": 1}'])
def test_policies_that_cannot_be_read_are_on_record(body: str) -> None:
    gate = Gate({**BASE, "routes": [ENTRY]})
    rules = gate.table.partition("rules")
    rules["routes"] = {**rules["routes"], "body": body}
    gate.desk = Desk(gate.table, gate.clock)
    assert gate.says(ROUTES, {"routes": [OPEN]}, **{"if-match": '"1"'}).slug == "would-open"


@pytest.mark.parametrize("route", [ROUTES, APPLY])
def test_opening_routes_names_every_route_and_takes_a_word(route: str) -> None:
    gate = Gate()
    wanted = {"routes": [{**ENTRY, "flags": ["access"], "asks": ["beta"]}, {"route": "GET /y", "class": "observe"},
                         {"route": "GET /z", "class": "stop"}]}  # fmt: skip
    refused = gate.says(route, wanted)
    assert (refused.status, refused.slug) == (409, "would-open")
    assert paths(refused) == ["routes.POST /x", "routes.GET /y", "routes.GET /z"]
    assert gate.says(route, {**wanted, "allow_shrink": True}).slug == "would-open"
    assert gate.says(route, {**wanted, "allow_open": True}).status == 200


@pytest.mark.parametrize("route", [ROUTES, APPLY])
def test_where_both_apply_shrink_comes_first_and_all_places_are_listed(route: str) -> None:
    gate = Gate()
    wanted = {"routes": [{**ENTRY, "class": "machine", "flags": ["access", "beta"], "asks": ["beta"]}]}
    refused = gate.says(route, wanted)
    assert (refused.slug, refused.body["detail"]) == ("would-shrink", "set allow_shrink and allow_open to confirm")
    assert paths(refused) == ["routes.POST /x.class", "routes.POST /x", "routes.GET /y"]
    assert gate.says(route, {**wanted, "allow_shrink": True}).slug == "would-open"
    assert gate.says(route, {**wanted, "allow_open": True}).slug == "would-shrink"
    assert gate.says(route, {**wanted, "allow_open": True, "allow_shrink": True}).status == 200


CLASHES = {
    "two flags": ({"flags": [{"key": "new", "claim": "beta"}]}, "flags.0.claim"),
    "two new flags": ({"flags": [{"key": "m", "claim": "one"}, {"key": "n", "claim": "one"}]}, "flags.0.claim"),
    "a flag and the claim of admins": ({"flags": [{"key": "new", "claim": "isAdmin"}]}, "flags.0.claim"),
    "a flag and a user's id": ({"flags": [{"key": "new", "claim": "userId"}]}, "flags.0.claim"),
    "the profile and a flag": ({"access": "access", "token": {"claims": {"beta": True}}}, "token.claims.beta"),
    "a flag and a claim that we add": ({"flags": [{"key": "new", "claim": "orgs_cut"}]}, "flags.0.claim"),
    "a flag and a standard claim": ({"flags": [{"key": "new", "claim": "sub"}]}, "flags.0.claim"),
    "a flag and a claim of our own": ({"flags": [{"key": "new", "claim": "entitlements"}]}, "flags.0.claim"),
    "the profile and a standard claim": ({"token": {"claims": {"admin": True}}}, "token.claims"),
}


@pytest.mark.parametrize("name", CLASHES)
def test_a_claim_with_two_sources_is_refused(name: str) -> None:
    manifest, path = CLASHES[name]
    gate = Gate()
    for route in (PLAN, APPLY):
        refused = gate.says(route, {**manifest, "allow_shrink": True})
        assert (refused.status, refused.slug, path in paths(refused)) == (400, "invalid-body", True), refused
    for new in manifest.get("flags", ())[:1]:  # alone, the first of two new flags clashes with none
        body = {"claim": new["claim"]}
        alone = 400 if len(manifest["flags"]) == 1 else 201
        asked = gate.says(PREVIEW, {"flag": "new", "change": {"put": body}})
        assert asked.status == (400 if alone == 400 else 200)
        assert gate.says("PUT /admin/v1/flags/{key}", body, key="new", **NEW).status == alone


def test_a_claim_can_move_within_one_manifest() -> None:
    gate = Gate()
    flags = [{"key": "beta", "claim": None}, {"key": "new", "claim": "beta"}]
    assert gate.says(APPLY, {"flags": flags, "allow_shrink": True}).status == 200
    flags = [{"key": "new", "claim": "other"}, {"key": "beta", "claim": "beta"}]
    assert gate.says(APPLY, {"flags": flags, "allow_shrink": True}).status == 200


def test_claims_beyond_what_a_token_holds_are_refused_for_a_single_flag_too() -> None:
    flags = [{"key": f"f{n}", "claim": f"c{n}" + "x" * 60} for n in range(26)]
    gate = Gate({"flags": flags})
    refused = gate.says("PUT /admin/v1/flags/{key}", {"claim": "y" * 64}, key="more", **NEW)
    assert (refused.status, paths(refused)) == (400, ["token"])
    assert gate.says("PUT /admin/v1/flags/{key}", {}, key="more", **NEW).status == 201


def test_a_claim_that_another_admin_takes_meanwhile_is_refused() -> None:
    gate = Gate()
    other = Ask("PUT /admin/v1/flags/{key}", {"claim": "mine", **WHY}, {"key": "theirs"}, NEW)
    another = Desk(gate.table, gate.clock)
    gate.table.before_write = lambda: another.must(other)
    refused = gate.says(APPLY, {"flags": [{"key": "ours", "claim": "mine"}]})
    assert (refused.slug, paths(refused)) == ("invalid-body", ["flags.ours.claim"])


MOVES: dict[str, Any] = {
    "to another flag": {**BASE, "access": "wide"}, "to none": {**BASE, "access": None}, "by omission": {"max_stale": 9},
    "by pruning it": {"access": "wide", "flags": [{"key": "wide"}], "prune": True},
}  # fmt: skip
WIDE = {**BASE, "flags": [{"key": "access", "stage": "ga"}, {"key": "wide", "stage": "ga"}]}


@pytest.mark.parametrize("reach", ["gate", "drain", "sever"])
@pytest.mark.parametrize("name", MOVES)
def test_a_kill_of_the_access_flag_cannot_be_evaded_by_moving_access(name: str, reach: str) -> None:
    gate = Gate({**WIDE, "routes": []})
    gate.kills("access", reach)
    words = {"allow_shrink": True, "allow_open": True}
    for route in (PLAN, APPLY):
        refused = gate.says(route, {**MOVES[name], **words})
        assert (refused.status, refused.slug) == (409, "access-killed"), refused
    assert gate.says("POST /admin/v1/flags/{key}/restore", {}, key="access").status == 200
    assert gate.says(APPLY, {**MOVES[name], **words}).status == 200


def test_a_killed_access_flag_cannot_be_deleted() -> None:
    gate = Gate(WIDE)
    gate.kills("access", "sever")
    assert gate.deletes("access", allow_shrink=True).slug == "access-killed"
    gate.kills("wide", "gate")
    assert gate.deletes("wide", allow_shrink=True).status == 204


def test_a_kill_that_comes_while_access_is_moved_holds() -> None:
    gate = Gate(WIDE)
    another = Desk(gate.table, gate.clock)
    kill = Ask("POST /admin/v1/flags/{key}/kill", {"reach": "sever", **WHY}, {"key": "access"})
    gate.table.before_write = lambda: another.must(kill)
    assert gate.says(APPLY, {**WIDE, "access": "wide", "allow_shrink": True}).slug == "access-killed"
    assert gate.desk.must(Ask("GET /admin/v1/manifest")).body["access"] == "access"


@pytest.mark.parametrize("stage", ["admin_only", "ga"])
def test_deleting_a_parent_lists_its_dependents(stage: str) -> None:
    gate = Gate({"flags": [{"key": "p", "stage": stage}, {"key": "c", "requires": ["p"]},
                           {"key": "d", "stage": "ga", "requires": ["c"]}, {"key": "e"}]})  # fmt: skip
    refused = gate.deletes("p")
    assert (refused.status, refused.slug) == (409, "would-shrink")
    assert [path for path in paths(refused) if "requires" in path] == ["flags.c.requires", "flags.d.requires"]
    assert gate.deletes("e").status == 204
    assert gate.deletes("p", allow_shrink=True).status == 204


LISTED = {"users": ["alice", "bob"]}
CHANGES = {
    "f": {"stage": "ga"},
    "g": {"percent": 20, "allow": {"users": ["alice", "carol"]}, "owner": "me", "salt": "t"},
    "new": {"stage": "allowlist", "allow": {"users": ["alice"]}},
}


def test_a_plan_says_what_the_preview_of_each_change_says() -> None:
    shared = {"stage": "percentage", "salt": "s", "allow": LISTED}
    gate = Gate({"flags": [{"key": "f", "percent": 10, **shared}, {"key": "g", "percent": 50, **shared}]})
    live = {one["key"]: one for one in gate.desk.must(Ask("GET /admin/v1/manifest")).body["flags"]}
    fields = {}
    for key, change in CHANGES.items():
        (step,) = gate.says(PLAN, {"flags": [{"key": key, **change}]}).body["changes"]
        preview = gate.says(PREVIEW, {"flag": key, "change": {"put": {**live.get(key, {}), **change}}}).body
        for member in ("gains", "loses", "samples", "share", "shrinks"):
            assert step[member] == preview[member], (key, member)
        fields[key] = step["fields"]
        assert key != "f" or step["share"]["gains"] == 90
    assert fields["f"] == [{"path": "stage", "before": "percentage", "after": "ga"}]
    assert fields["g"] == [
        {"path": "owner", "before": "", "after": "me"},
        {"path": "percent", "before": 50, "after": 20},
        {"path": "salt"},
        {"path": "allow.users", "added": ["carol"], "added_count": 1, "removed": ["bob"], "removed_count": 1},
    ]
    assert [field["path"] for field in fields["new"]] == ["stage", "allow.users"]


def test_a_plan_names_every_route_and_every_setting_that_differs() -> None:
    gate = Gate()
    wanted = {
        "access": "access", "token": {"lifetime": 600, "claims": {"userId": "$user", "isAdmin": True}},
        "routes": [{**OPEN}, {"route": "GET /z", "flags": ["gone"], "asks": ["lost"]}],
    }  # fmt: skip
    plan = gate.says(PLAN, wanted).body
    profile, routes = plan["changes"]
    assert profile["fields"] == [
        {"path": "token.lifetime", "before": 300, "after": 600},
        {"path": "token.claims.isAdmin", "before": "$admin", "after": True},
    ]
    assert routes["routes"] == [
        {"route": "POST /x", "before": {"class": "entry", "flags": ["access", "beta"], "asks": ["beta"]},
         "after": {"class": "open", "flags": [], "asks": []}, "shrinks": True, "opens": True},
        {"route": "GET /y", "before": {"class": "admin", "flags": [], "asks": []}, "after": None, "shrinks": False,
         "opens": True},
        {"route": "GET /z", "before": None, "after": {"class": "entry", "flags": ["gone"], "asks": ["lost"]},
         "shrinks": True, "opens": True},
    ]  # fmt: skip
    assert [(one["path"], one["message"].split()[0]) for one in plan["warnings"]] == [
        ("routes.GET /z", "gone"), ("routes.GET /z", "lost"),
    ]  # fmt: skip
    assert (plan["shrinks"], plan["opens"]) == (True, True)


def test_a_plan_too_large_for_one_answer_leaves_details_out_and_says_so() -> None:
    flags = [{"key": f"f{n}", "values": {"on": {"a": "x" * 20_000}, "off": {}}} for n in range(180)]
    gate = Gate(*({"flags": flags[start : start + 18]} for start in range(0, 180, 18)))
    body = {"flags": [{"key": one["key"], "stage": "ga", "values": {"on": 1, "off": 0}} for one in flags]}
    plan = gate.says(PLAN, body).body
    cut = [step for step in plan["changes"] if step.get("cut")]
    assert 0 < len(cut) < len(plan["changes"]) == 180
    assert {step["share"]["gains"] for step in cut} == {100}
    assert len(json.dumps(plan)) < 4_000_000
