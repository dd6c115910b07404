"""The token, the web client, React, Node, and Python agree for 200 people (`make prove`: 1,000) and eight flags.

Each person signs in for real: an identity token, an access token (or a refusal), an evaluation token. The web client
and React evaluate as that person; Node and Python evaluate on their behalf with a service token.
"""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import jwt
import pytest
from openfeature import api
from openfeature.contrib.provider.ofrep import OFREPProvider
from openfeature.evaluation_context import EvaluationContext
from openfeature.flag_evaluation import FlagEvaluationDetails
from proofs import many
from running_gate import Gate, Person
from running_gate.gate import in_parallel

PEOPLE = many(200, 1_000)
THREADS = 4
ACCESS = "gastown-access"
DEFAULTS: Mapping[str, bool | str] = {
    ACCESS: False,
    "gastown-convoys": False,
    "gastown-pr-merge": "direct",
    "gastown-multi-rig": False,
    "gastown-molecules": False,
    "site-banner": False,
    "org-report": False,
    "staff-tools": False,
}
"""Each client's default: off."""
CHILDREN = ("gastown-convoys", "gastown-pr-merge", "gastown-multi-rig", "gastown-molecules")
OTHERS = tuple(key for key in DEFAULTS if key != ACCESS)
ODD_IDS = ("auth0|5f7c", "a/b?c#d", "a+b=c&d%25", "zoë", "zoe\u0308", "日本", "👩‍🚀", "'\"<>\\", "..", "x" * 255)
"""Ids that a faulty client or server might alter."""

Verdicts = Mapping[str, bool]
pytestmark = pytest.mark.proof("the token and four clients, person by person")


@dataclass(frozen=True, slots=True)
class Admission:
    """A person's answer from the token endpoint: the flags of the access token (None: refused), an evaluation token."""

    person: Person
    entitlements: frozenset[str] | None
    evaluation_token: str


@pytest.fixture(scope="module")
def people() -> list[Person]:
    """The population: listed users, org members, admins, ids with unusual characters, and many ordinary users."""
    odd = [Person(user) for user in ODD_IDS]
    listed = [Person("listed-0"), Person("listed-1"), Person("listed-1", ("org-3",))]
    rest = PEOPLE - len(odd) - len(listed)
    return odd + listed + [Person(f"person-{n}", _orgs(n), admin=n % 50 == 0) for n in range(rest)]


@pytest.fixture(scope="module")
def admissions(node: Callable[..., Any], gate: Gate, people: list[Person]) -> list[Admission]:
    """Everybody's answer from the token endpoint."""

    def admit(person: Person) -> Admission:
        identity = gate.id_token(person)
        access = gate.exchange(identity)
        entitlements = None if access.status == 403 else _entitlements(access.expect(200).json["access_token"])
        evaluation = gate.exchange(identity, scope="evaluate").expect(200).json["access_token"]
        return Admission(person, entitlements, evaluation)

    return in_parallel(admit, people, threads=THREADS)


@pytest.fixture(scope="module")
def web_and_react(gate: Gate, node: Callable[..., Any], admissions: list[Admission]) -> list[dict[str, Verdicts]]:
    """What the web client and a mounted React tree show, person by person."""
    signed_in = [{"user": each.person.user, "token": each.evaluation_token} for each in admissions]
    seen = node("web_and_react.mjs", {"api": gate.api, "flags": DEFAULTS, "people": signed_in})
    return [{client: _booleans(values) for client, values in each.items()} for each in seen]


def test_population_covers_every_outcome(admissions: list[Admission]) -> None:
    admitted = [each.entitlements for each in admissions if each.entitlements is not None]
    assert 0.4 * PEOPLE < len(admitted) < 0.7 * PEOPLE
    for key in DEFAULTS:
        if key not in ("site-banner", "gastown-multi-rig", ACCESS):
            assert 0 < sum(key in on for on in admitted) < len(admitted), key
    admins = sum(each.person.admin for each in admissions)
    assert sum("gastown-molecules" in on for on in admitted) == admins > 0


@pytest.mark.parametrize("client", ["web", "react"])
def test_page_agrees_with_the_token(
    admissions: list[Admission], web_and_react: list[dict[str, Verdicts]], client: str
) -> None:
    _agrees([(each, seen[client]) for each, seen in zip(admissions, web_and_react, strict=True)])


def test_node_agrees_with_the_page(
    gate: Gate, node: Callable[..., Any], admissions: list[Admission], web_and_react: list[dict[str, Verdicts]]
) -> None:
    token = gate.service_token()
    asks = [
        {"key": key, "default": DEFAULTS[key], "token": token, "context": person.context()}
        for person, key in _asked(admissions)
    ]
    details = node("node_provider.mjs", {"api": gate.api, "asks": asks})
    assert not [each for each in details if each["errorCode"]]
    _same_as_the_page([each["value"] for each in details], admissions, web_and_react)


def test_python_agrees_with_the_page(
    gate: Gate, admissions: list[Admission], web_and_react: list[dict[str, Verdicts]]
) -> None:
    token = gate.service_token()
    provider = OFREPProvider(gate.api, headers_factory=lambda: {"authorization": f"Bearer {token}"})
    api.set_provider(provider, domain="clients")
    client = api.get_client(domain="clients")

    def value(asked: tuple[Person, str]) -> bool | str:
        person, key = asked
        context = EvaluationContext(person.user, {"orgs": list(person.orgs), "admin": person.admin})
        default = DEFAULTS[key]
        found: FlagEvaluationDetails[bool] | FlagEvaluationDetails[str]
        if isinstance(default, bool):
            found = client.get_boolean_details(key, default, context)
        else:
            found = client.get_string_details(key, default, context)
        assert found.error_code is None, (key, found)
        return found.value

    with ThreadPoolExecutor(THREADS) as pool:
        values = list(pool.map(value, _asked(admissions)))
    _same_as_the_page(values, admissions, web_and_react)


def _asked(admissions: list[Admission]) -> list[tuple[Person, str]]:
    """The access flag for everybody, and the other flags in turn: a server client makes one call for each."""
    asked = []
    for index, each in enumerate(admissions):
        asked += [(each.person, ACCESS), (each.person, OTHERS[index % len(OTHERS)])]
    return asked


def _same_as_the_page(values: list[bool | str], admissions: list[Admission], page: list[dict[str, Verdicts]]) -> None:
    """Every answer equals the page's, which in turn agrees with the token."""
    differing = []
    for (person, key), value, seen in zip(_asked(admissions), values, [s for s in page for _ in range(2)], strict=True):
        if _boolean(value) is not seen["web"][key]:
            differing.append((person.user, key, value))
    assert not differing


def _agrees(pairs: list[tuple[Admission, Verdicts]]) -> None:
    """The flags that are on are the token's entitlements. Without a token, access and what requires it are off."""
    for each, seen in pairs:
        on = {key for key, value in seen.items() if value}
        if each.entitlements is not None:
            assert on == each.entitlements, each.person.user
        else:
            assert on.isdisjoint({ACCESS, *CHILDREN}), each.person.user


def _orgs(n: int) -> tuple[str, ...]:
    """Two in three have no org; some have two."""
    if n % 3:
        return ()
    return (f"org-{n % 40}", f"org-{n % 7}") if n % 4 == 0 else (f"org-{n % 40}",)


def _entitlements(access_token: str) -> frozenset[str]:
    return frozenset(jwt.decode(access_token, options={"verify_signature": False})["entitlements"])


def _booleans(values: Mapping[str, bool | str]) -> Verdicts:
    return {key: _boolean(value) for key, value in values.items()}


def _boolean(value: bool | str) -> bool:
    """The gate's boolean for a flag's value. These flags have no other values."""
    return {True: True, False: False, "pr": True, "direct": False}[value]
