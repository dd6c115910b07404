"""The web client as a browser page uses it: preflight, ETag and 304, polling, and invalid tokens."""

from collections.abc import Callable
from typing import Any

import pytest
from node_scripts import talk
from running_gate import Answer, Gate, Person
from running_gate.gate import BULK

SAFELISTED = {"accept", "accept-language", "content-language"}
"""Headers that need no preflight; `content-type` only with form types, not JSON. (Fetch standard)"""
FLAG = "turned-on"
NOT_MODIFIED = 304


@pytest.fixture(autouse=True)
def installed(node: Callable[..., Any]) -> None:
    """Every test here runs scripts."""


def preflight(gate: Gate, origin: str, path: str, method: str, headers: str) -> Answer:
    """What a browser sends before a page's request: no credentials, no body."""
    asked = {"access-control-request-method": method, "access-control-request-headers": headers}
    return gate.http.send("OPTIONS", gate.api + path, headers={"origin": origin, **asked})


@pytest.fixture(scope="module")
def visits(gate: Gate, node: Callable[..., Any]) -> list[dict[str, Any]]:
    """A page loaded twice by one person."""
    document = {"api": gate.api, "scene": "revisit", "token": gate.evaluation_token(Person()), "flag": "site-banner"}
    return list(node("web_provider.mjs", document))


def test_reloaded_page_gets_304_and_keeps_its_values(visits: list[dict[str, Any]]) -> None:
    first, second = visits
    assert [call["status"] for call in first["calls"]] == [200]
    assert first["calls"][0]["etag"].startswith('"')
    assert [call["status"] for call in second["calls"]] == [NOT_MODIFIED]
    assert second["calls"][0]["ifNoneMatch"] == first["calls"][0]["etag"] == second["calls"][0]["etag"]
    assert (first["value"], first["reason"]) == (True, "STATIC")
    assert (second["value"], second["reason"]) == (True, "CACHED")
    assert second["status"] == "READY"


def test_page_requests_pass_the_preflight(gate: Gate, origin: str, visits: list[dict[str, Any]]) -> None:
    sent = {name for visit in visits for call in visit["calls"] for name in call["headers"]}
    needed = sorted(sent - SAFELISTED)
    assert needed == ["authorization", "content-type", "if-none-match"]
    answer = preflight(gate, origin, BULK, "POST", ",".join(needed)).expect(204)
    assert answer.headers["access-control-allow-origin"] == origin
    assert "POST" in answer.headers["access-control-allow-methods"].split(",")
    assert set(needed) <= set(answer.headers["access-control-allow-headers"].split(","))
    assert "access-control-allow-credentials" not in answer.headers


@pytest.mark.parametrize("headers", [{}, {"if-none-match": "kept"}], ids=["200", "304"])
def test_page_may_read_the_answer_its_etag_and_its_revision(gate: Gate, origin: str, headers: dict[str, str]) -> None:
    token = gate.evaluation_token(Person())
    etag = gate.evaluate_all(token).expect(200).headers["etag"]
    conditional = {"if-none-match": etag} if headers else {}
    answer = gate.evaluate_all(token, headers={"origin": origin, **conditional})
    answer.expect(NOT_MODIFIED if conditional else 200)
    assert answer.headers["access-control-allow-origin"] == origin
    exposed = {name.strip().lower() for name in answer.headers["access-control-expose-headers"].split(",")}
    assert {"etag", "x-headgate-revision", "retry-after"} <= exposed


def test_page_may_exchange_its_token_and_read_a_refusal(gate: Gate, origin: str) -> None:
    form = {"origin": origin, "content-type": "application/x-www-form-urlencoded"}
    answer = gate.http.send("POST", f"{gate.api}/v1/token", headers=form, body=b"grant_type=none").expect(400)
    assert answer.headers["access-control-allow-origin"] == origin


def test_other_origin_gets_no_cors_headers(gate: Gate, origin: str) -> None:
    token = gate.evaluation_token(Person())
    for foreign in (f"{origin}0", origin.replace("http:", "https:"), "http://localhost", "null", "http://evil.example"):
        answers = [
            preflight(gate, foreign, BULK, "POST", "authorization,content-type"),
            gate.evaluate_all(token, headers={"origin": foreign}).expect(200),
        ]
        told = [name for answer in answers for name in answer.headers if name.startswith("access-control-")]
        assert not told, foreign


def test_polling_gets_304_until_a_change(gate: Gate) -> None:
    document = {"api": gate.api, "scene": "poll", "token": gate.evaluation_token(Person()), "flag": FLAG}
    with talk("web_provider.mjs", document, limit=30) as step:
        before = step()
        assert [call["status"] for call in before["calls"]] == [200, NOT_MODIFIED, NOT_MODIFIED]
        assert before["value"] is False
        revision = gate.stage(FLAG, "ga")["revision"]
        after = step()
    assert after["value"] is True
    assert FLAG in after["flagsChanged"]
    *unchanged, changed = after["calls"]
    assert {call["status"] for call in unchanged} <= {NOT_MODIFIED}
    assert (changed["status"], changed["revision"]) == (200, revision)


def test_page_needs_two_options_to_notice_a_kill(gate: Gate) -> None:
    """By default, an open page never asks again, and a new one begins with the old values (docs/openfeature.md)."""
    key = "page-offer"
    gate.have(key, stage="ga")
    gate.settled()
    document = {"api": gate.api, "scene": "killed", "token": gate.evaluation_token(Person()), "flag": key}
    with talk("web_provider.mjs", document, limit=60) as step:
        before = step()
        assert {name: page["value"] for name, page in before.items()} == {"defaults": True, "safe": True}
        gate.kill(key)
        after = step()
        assert (after["safe"]["value"], after["safe"]["reason"]) == (False, "DISABLED")
        assert (after["defaults"]["value"], after["defaults"]["reason"]) == (True, "STATIC")
        loaded = {mode: (page["value"], page["reason"]) for mode, page in after["reloaded"].items()}
        assert loaded == {
            "disabled": (False, "DISABLED"),
            "network-first": (False, "DISABLED"),
            "local-cache-first": (True, "CACHED"),
        }
        assert step()["defaults"]["value"] is False


def test_invalid_token_makes_the_client_fatal_with_every_flag_at_its_default(
    gate: Gate, node: Callable[..., Any]
) -> None:
    person = Person(admin=True)
    access, foreign = gate.access_token(person), {"user": "somebody-else"}
    attempts = {
        "no token": ({"token": None}, 401),
        "garbled": ({"token": "x"}, 401),
        "changed": ({"token": _changed(access)}, 401),
        "a session's": ({"token": gate.session_token(access, "town:1")}, 401),
        "an identity token": ({"token": gate.id_token(person)}, 401),
        "of somebody else": ({"token": access, **foreign}, 403),
    }
    document = {"scene": "refused", "flag": "site-banner", "attempts": [sent for sent, _ in attempts.values()]}
    seen = node("web_provider.mjs", {"api": gate.api, **document})
    for name, (_, status), found in zip(attempts, attempts.values(), seen, strict=True):
        assert [call["status"] for call in found["calls"]] == [status], name
        assert (found["failure"], found["status"]) == ("PROVIDER_FATAL", "FATAL"), name
        assert (found["value"], found["errorCode"]) == (False, "PROVIDER_FATAL"), name


def _changed(token: str) -> str:
    """The same token with one character of its claims changed."""
    head, claims, signature = token.split(".")
    return ".".join((head, claims[:-2] + ("A" if claims[-2] != "A" else "B") + claims[-1], signature))
