"""Orgs: which one a request acts for, and a token for whoever has two hundred of them."""

import json
from base64 import urlsafe_b64decode
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import pytest
from desk import Ask, quiet
from in_memory_gate import ACCESS as ACCESS_TYPE
from in_memory_gate import ADMIN, SETTINGS, Environment, InMemoryGate, Provider, event

from headgate.edge.oauth import GRANT, ID_TOKEN, SESSION_TOKEN
from headgate.store.memberships import IDS_READ
from headgate.tokens.claims import Kind
from headgate.tokens.identity import Identity
from headgate.tokens.issue import Grant, issue
from headgate.tokens.limits import TOKEN_BYTES

MANY = tuple(str(UUID(int=number << 80 | 7)) for number in range(200))
"""As Entra ID sends them: two hundred groups by GUID."""
LAST = MANY[-1]
WHY = {"reason": "why"}
ROUTES = [
    {"route": "POST /orgs/{org}/things", "class": "entry", "flags": ["access"]},
    {"route": "GET /orgs/{org}/things", "class": "observe"},
    {"route": "GET /asks", "class": "observe", "asks": ["access"]},
    {"route": "DELETE /orgs/{org}", "class": "admin"},
]
ON_ORGS = [{"clauses": [{"attribute": "orgs", "op": "contains", "value": LAST}]}]


@dataclass
class Directory(Provider):
    """People with their orgs."""

    orgs: dict[str, tuple[str, ...]] = field(default_factory=dict)
    attributes: dict[str, Any] = field(default_factory=dict)

    def verify(self, token: str, now: float) -> Identity:
        return Identity(issuer="idp", user=token, admin=token == ADMIN, client_id="web", iat=int(now),
                        exp=int(now) + 600, orgs=self.orgs.get(token, ()), attributes=self.attributes)  # fmt: skip


class Gate(InMemoryGate):
    """A gate with these flags and routes, and one environment."""

    def __init__(self, *flags: dict[str, Any], routes: Any = ROUTES) -> None:
        super().__init__()
        self.directory = Directory()
        self.environment = Environment(self.table, self.clock, identities=self.directory)
        manifest = {"access": "access", "flags": list(flags), "routes": routes, **WHY}
        with quiet():
            self.desk().must(Ask("POST /admin/v1/manifest", manifest))

    def lists(self, key: str, *orgs: str) -> None:
        """Put orgs on the flag's long list."""
        desk = self.desk()
        with quiet():
            version = desk.must(Ask("GET /admin/v1/flags/{key}", path={"key": key})).etag
            object.__setattr__(desk.admin, "inline", 0)
            desk.must(Ask("POST /admin/v1/flags/{key}/allow", {"add": {"orgs": list(orgs)}, **WHY}, {"key": key},
                          {"if-match": version}))  # fmt: skip

    def exchanges(self, token: str, **form: str) -> Any:
        sent = {"grant_type": GRANT, "subject_token": token, "subject_token_type": ID_TOKEN, **form}
        response = self.environment.token(event("POST /v1/token", form=sent))
        return response["statusCode"], json.loads(response["body"])

    def token(self, person: str, **form: str) -> str:
        status, body = self.exchanges(person, **form)
        assert status == 200, body
        return str(body["access_token"])

    def held(self, *orgs: str, cut: bool = False) -> str:
        """An access token of alice with these orgs."""
        grant = Grant(kind=Kind.ACCESS, issuer=SETTINGS.issuer, audience=SETTINGS.audience, subject="alice", rev=1,
                      client_id="web", lifetime=3_600, orgs=orgs, orgs_cut=cut)  # fmt: skip
        return issue(self.environment.kms, grant, self.clock())[0]

    def enters(self, route: str, token: str, **path: str) -> dict[str, Any] | None:
        """The worker's context, or None."""
        answer = self.environment._authorizer(event(route, token=token, path=path))
        return answer["context"] if answer["isAuthorized"] else None


def claims(token: str) -> dict[str, Any]:
    part = token.split(".")[1]
    found: dict[str, Any] = json.loads(urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return found


def read(gate: InMemoryGate) -> int:
    """The member items that were read since the last call."""
    count = sum(key[0].startswith("members#") for call in gate.table.calls if call.op == "get" for key in call.keys)
    gate.table.calls.clear()
    return count


# -- the acting org

LISTED = {"key": "access", "stage": "allowlist", "allow": {"orgs": ["acme"]}}


@quiet()
@pytest.mark.parametrize(
    ("org", "is_in"),
    [
        ("acme", True),
        ("other", False),
        ("Acme", False),
        ("ACME", False),
        ("foreign", False),
        ("acme ", False),
        ("", False),
    ],
)
@pytest.mark.parametrize("long", [False, True])
def test_the_org_of_the_path_is_the_only_one_that_counts(org: str, is_in: bool, long: bool) -> None:
    gate = Gate({"key": "access", "stage": "allowlist"} if long else LISTED)
    if long:
        gate.lists("access", "acme")
    token = gate.held("acme", "other")
    assert (gate.enters("POST /orgs/{org}/things", token, org=org) is not None) is is_in
    is_own = org in ("acme", "other")
    assert (gate.enters("GET /orgs/{org}/things", token, org=org) is not None) is is_own


@quiet()
def test_an_admin_administers_any_org_and_acts_for_their_own() -> None:
    gate = Gate(LISTED)
    gate.directory.orgs[ADMIN] = ("own",)
    token = gate.token(ADMIN)
    assert gate.enters("DELETE /orgs/{org}", token, org="foreign")
    assert gate.enters("POST /orgs/{org}/things", token, org="own")
    assert not gate.enters("POST /orgs/{org}/things", token, org="foreign")


@quiet()
@pytest.mark.parametrize("long", [False, True])
def test_the_worker_learns_for_which_orgs_a_flag_is_on(long: bool) -> None:
    gate = Gate({"key": "access", "stage": "allowlist"} if long else LISTED)
    if long:
        gate.lists("access", "acme")
    context = gate.enters("GET /asks", gate.held("other", "acme"))
    assert context is not None
    assert json.loads(context["asks"]) == {"access": True}
    assert json.loads(context["org_flags"]) == {"access": "01"}
    acting = gate.enters("POST /orgs/{org}/things", gate.held("other", "acme"), org="acme")
    assert acting is not None
    assert json.loads(acting["org_flags"]) == {"access": "01"}


# -- many orgs

NAMED: dict[str, dict[str, Any]] = {
    "a list": {"allow": {"orgs": [LAST]}}, "a rule": {"allow": {"rules": ON_ORGS}}, "a long list": {},
}  # fmt: skip


@quiet()
@pytest.mark.parametrize("named", NAMED)
def test_a_user_of_two_hundred_orgs_gets_every_kind_of_token(named: str, capsys: pytest.CaptureFixture[str]) -> None:
    gate = Gate({"key": "access", "stage": "allowlist", **NAMED[named]})
    if named == "a long list":
        gate.lists("access", LAST)
    gate.directory.orgs = {"alice": MANY, ADMIN: MANY}
    gate.directory.attributes = {"orgs": (LAST,)} if named == "a rule" else {}
    session = {"requested_token_type": SESSION_TOKEN, "session_id": "s" * 128}
    for person in ("alice", ADMIN):
        access = gate.token(person)
        for token in (
            access, gate.token(person, scope="evaluate"),
            gate.token(access, subject_token_type=ACCESS_TYPE, **session), gate.token(person, **session),
        ):  # fmt: skip
            found = claims(token)
            assert len(token) <= TOKEN_BYTES
            assert found["orgs_cut"] is True
            assert 40 <= len(found["orgs"]) < 100
            assert person == ADMIN or LAST in found["orgs"]
        assert sorted(found["orgs"], key=lambda org: (org != LAST, org)) == found["orgs"]


@quiet()
def test_few_orgs_are_kept_as_the_provider_sent_them() -> None:
    gate = Gate({"key": "access", "stage": "ga"})
    gate.directory.orgs["alice"] = ("zebra", "acme")
    found = claims(gate.token("alice"))
    assert (found["orgs"], "orgs_cut" in found) == (["zebra", "acme"], False)


@quiet()
@pytest.mark.parametrize("lists", [1, 3, 20, 85])
@pytest.mark.parametrize("orgs", [5, 60, 200])
def test_no_subject_costs_more_than_its_share_of_reads(lists: int, orgs: int) -> None:
    """At a mint and at an evaluation of all flags; and what the mint found, the gate finds."""
    keys = ["access", *(f"f{number}" for number in range(1, lists))]
    routes = [{"route": f"GET /{key}", "flags": [key]} for key in keys]
    gate = Gate(*({"key": key, "stage": "allowlist"} for key in keys), routes=routes)
    for key in keys:
        gate.lists(key, MANY[orgs - 1])
    gate.directory.orgs["alice"] = MANY[:orgs]
    read(gate)
    status, body = gate.exchanges("alice")
    assert read(gate) <= 2 * IDS_READ
    if status == 403:  # the org is beyond what is looked up
        assert lists * orgs > IDS_READ
        return
    token = body["access_token"]
    entitled = claims(token)["entitlements"]
    assert [key for key in keys if gate.enters(f"GET /{key}", token)] == sorted(entitled, key=keys.index)
    gate.clock.advance(10)
    read(gate)
    response = gate.environment.evaluate(event("POST /ofrep/v1/evaluate/flags", token=token))
    assert read(gate) <= IDS_READ
    flags = {flag["key"]: flag["value"] for flag in json.loads(response["body"])["flags"]}
    assert [key for key in keys if flags[key]] == sorted(entitled, key=keys.index)


@quiet()
def test_a_token_that_cannot_fit_is_refused_before_anything_is_looked_up() -> None:
    rule = {"clauses": [{"attribute": "essay", "op": "exists"}]}
    gate = Gate({"key": "access", "stage": "allowlist", "allow": {"rules": [rule]}})
    gate.lists("access", *MANY)
    gate.directory.orgs["alice"], gate.directory.attributes["essay"] = MANY, "x" * 4_000
    read(gate)
    assert gate.exchanges("alice")[0] == 400
    assert read(gate) == 0


@quiet()
def test_cut_orgs_never_fall_back_to_the_user() -> None:
    gate = Gate({"key": "access", "stage": "percentage", "percent": 100, "unit": "org_or_user"})
    route = "GET /unlisted"
    assert gate.enters(route, gate.held())
    assert not gate.enters(route, gate.held(cut=True))
    context = gate.enters("GET /asks", gate.held(cut=True))
    assert context is not None
    assert (context["orgs_cut"], json.loads(context["asks"])) == (True, {"access": False})
