"""What every request meets before and after the rules of a town: the gate's context, the body, the store, the log."""

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest
import yaml
from gastown.routes import BY_AGENT, IN_TOWN, PROCEDURES, Worker
from gastown.service import Gastown
from gastown.state import TownTable
from gastown.towns import Town
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from proofs import many
from worker_calls.requests import Person, Reply, make_event, read

Caller = Callable[..., Reply]
Handler = Callable[[dict[str, Any], Any], dict[str, Any]]
CREATE, SHOW, STATUS = "POST /api/users/{user}/towns", "GET /api/towns/{town}", "GET /api/towns/{town}/status"
LIST, DELETE, CONFIG = "GET /api/towns", "DELETE /api/towns/{town}", "PATCH /api/towns/{town}/config"
ROUTES = (CREATE, "POST /api/orgs/{org}/towns", LIST, *IN_TOWN, *BY_AGENT, *PROCEDURES)
NAMED = {"user": "alice", "org": "org", "town": "t", "agent": "a", "procedures": "gastown.listTowns"}


def named_in(key: str) -> dict[str, str]:
    return {name: value for name, value in NAMED.items() if f"{{{name}}}" in key}


class TestTheGate:
    def test_the_routes_are_those_that_the_gate_knows(self, pytestconfig: pytest.Config) -> None:
        listed = yaml.safe_load((pytestconfig.rootpath / "examples/gastown/manifest.yaml").read_text(encoding="utf-8"))[
            "routes"
        ]
        known = {entry.get("route") for entry in listed}
        assert set(ROUTES) - set(PROCEDURES) <= known
        assert len(ROUTES) == len(set(ROUTES)) == 18

    @pytest.mark.parametrize("key", ROUTES)
    def test_without_its_context_nothing_is_done(self, handler: Handler, key: str) -> None:
        event = make_event(Person("alice"), key, named_in(key), body={})
        breaks: list[dict[str, Any]] = [{}, {"authorizer": {}}, {"authorizer": {"lambda": {"subject": "alice"}}}]
        for broken in breaks:
            context = {name: value for name, value in event["requestContext"].items() if name != "authorizer"} | broken
            reply = read(handler(event | {"requestContext": context}, None))
            assert (reply.status, reply.slug) == (401, "missing-context")
            assert reply.headers["www-authenticate"] == "Bearer"
            assert "x-headgate-revision" not in reply.headers

    @pytest.mark.parametrize("event", [{}, {"requestContext": None}, {"requestContext": []}, {"version": "1.0"}])
    def test_an_event_of_another_kind_is_nobody_s(self, handler: Handler, event: dict[str, Any]) -> None:
        assert read(handler(event, None)).status == 401

    @pytest.mark.parametrize("claim", [{"authorization": "Bearer x"}, {"x-headgate-subject": "alice"}])
    def test_no_header_stands_in_for_it(self, handler: Handler, claim: dict[str, str]) -> None:
        event = make_event(Person("alice"), LIST, {})
        del event["requestContext"]["authorizer"]
        assert read(handler(event | {"headers": claim}, None)).status == 401

    def test_it_is_the_route_key_that_counts(self, handler: Handler, alice: Person, town: str) -> None:
        """The gate decided `GET …/status`; a path that reads otherwise changes nothing."""
        event = make_event(alice, STATUS, {"town": town})
        event["rawPath"] = event["requestContext"]["http"]["path"] = f"/api/towns/{town}"
        event["requestContext"]["http"]["method"] = "DELETE"
        event["headers"] |= {"x-http-method-override": "DELETE"}
        assert "agents" in read(handler(event, None)).body
        assert read(handler(make_event(alice, SHOW, {"town": town}), None)).status == 200

    @pytest.mark.parametrize("key", ["GET /", "GET /api/towns/{town}/rigs", "PUT /api/towns", "$default", "", "GET  "])
    def test_another_route_is_none(self, handler: Handler, alice: Person, key: str) -> None:
        reply = read(handler(make_event(alice, key, {}), None))
        assert (reply.status, reply.slug) == (404, "not-found")
        assert reply.headers["x-headgate-revision"] == "12"

    @pytest.mark.parametrize("key", ROUTES)
    def test_without_path_parameters_nothing_is_done(self, handler: Handler, key: str) -> None:
        event = make_event(Person("nobody"), key, named_in(key), body={})
        event.pop("pathParameters", None)
        assert read(handler(event, None)).status in ((200,) if key == LIST else (400, 403, 404))

    def test_the_stage_in_the_path_is_no_matter(self, handler: Handler, alice: Person) -> None:
        event = make_event(alice, LIST, {})
        event["rawPath"], event["requestContext"]["stage"] = "/live/api/towns", "live"
        assert read(handler(event, None)).status == 200


BAD_JSON = [
    "{", "nul", "{'name':'x'}", '{"name":"x"', '{"name":"a","name":"b"}', '{"a":{"b":1,"b":2}}', '{"name":NaN}',
    '{"name":Infinity}', '{"name":-Infinity}', "[" * 50_000, '{"a":' * 5_000, "\ufeff{}", '{"n":' + "9" * 5_000 + "}",
    "name=x", "<town/>", "{} {}",
]  # fmt: skip


class TestBodies:
    @pytest.mark.parametrize("body", BAD_JSON, ids=lambda body: body[:20])
    def test_what_is_no_strict_json_is_refused(self, call: Caller, alice: Person, body: str) -> None:
        refused = call(alice, CREATE, user=alice.name, body=body)
        assert refused.status in (400, 413)
        assert refused.slug in ("invalid-json", "too-large")
        assert call(alice, LIST).body == {"towns": []}

    @pytest.mark.parametrize("body", ["[]", "null", "1", '"x"', "true", "[{}]"])
    def test_what_is_no_object_is_refused(self, call: Caller, alice: Person, body: str) -> None:
        refused = call(alice, CREATE, user=alice.name, body=body)
        assert (refused.status, refused.slug) == (400, "invalid-body")

    @pytest.mark.parametrize("name", [1, True, None, [], {}, "", "  ", "x" * 257, "a\nb", "a\x00b", "\ud800", "\u2028"])
    def test_a_name_that_does_not_fit_is_refused(self, call: Caller, alice: Person, name: Any) -> None:
        refused = call(alice, CREATE, user=alice.name, body={"name": name})
        assert (refused.status, refused.slug) == (400, "invalid-body")
        assert [fault["path"] for fault in refused.body["errors"]] == ["name"]

    def test_a_refusal_repeats_nothing_that_was_sent(self, call: Caller, alice: Person) -> None:
        for body in ({"name": ["secret-1"]}, '{"secret-1": '):
            assert "secret-1" not in json.dumps(call(alice, CREATE, user=alice.name, body=body).body)

    def test_no_body_is_an_empty_one(self, call: Caller, alice: Person) -> None:
        assert call(alice, CREATE, user=alice.name).body["name"] == "town"
        assert call(alice, CREATE, user=alice.name, body="").status == 201

    def test_more_than_32_kb_is_too_much(self, call: Caller, alice: Person) -> None:
        fits = json.dumps({"filler": ""})
        assert call(alice, CREATE, user=alice.name, body=fits[:-2] + "x" * (32_768 - len(fits)) + '"}').status == 201
        refused = call(alice, CREATE, user=alice.name, body=fits[:-2] + "é" * 16_384 + '"}')
        assert (refused.status, refused.slug) == (413, "too-large")

    def test_base64_is_undone(self, handler: Handler, alice: Person) -> None:
        sent = {b'{"name":"caf\xc3\xa9"}': 201, b'{"name":"caf\xe9"}': 400, b"\xff\xfe{\x00}\x00": 400}
        for raw, status in sent.items():
            event = make_event(alice, CREATE, {"user": alice.name}, body=base64.b64encode(raw).decode())
            assert read(handler(event | {"isBase64Encoded": True}, None)).status == status
        event = make_event(alice, CREATE, {"user": alice.name}, body="not base64!")
        assert read(handler(event | {"isBase64Encoded": True}, None)).status == 400

    def test_stopping_reads_no_body(self, call: Caller, alice: Person, town: str) -> None:
        """Nothing that a client sends along may keep somebody from stopping their own work."""
        for key in ("DELETE /api/towns/{town}/container", STATUS, DELETE):
            assert call(alice, key, town=town, body="{").status == 200

    @settings(max_examples=many(80, 800), suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(
        key=st.sampled_from(ROUTES), body=st.none() | st.text(max_size=60) | st.binary(max_size=30),
        named=st.fixed_dictionaries({name: st.text(max_size=20) | st.just(value) for name, value in NAMED.items()}),
        query=st.none() | st.dictionaries(st.sampled_from(["batch", "input"]), st.text(max_size=30), max_size=2),
    )  # fmt: skip
    def test_no_input_is_a_fault_of_the_server_s(
        self, handler: Handler, key: str, body: str | bytes | None, named: dict[str, str], query: dict[str, str] | None
    ) -> None:
        text = base64.b64encode(body).decode() if isinstance(body, bytes) else body
        asks = {"gastown-access": True, "gastown-multi-rig": True, "gastown-pr-merge": True}
        event = make_event(Person("alice", ("org",)), key, named, body=text, asks=asks, query=query)
        reply = read(handler(event | {"isBase64Encoded": isinstance(body, bytes)}, None))
        assert reply.status < 500


class TestTheLog:
    def test_one_line_a_request_without_any_person_or_secret(
        self, handler: Handler, alice: Person, town: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        capsys.readouterr()
        body = {"to": "mayor", "body": "a-secret-letter"}
        key = "POST /api/towns/{town}/agents/{agent}/mail"
        handler(make_event(alice.within(town), key, {"town": town, "agent": "polecat"}, body=body), None)
        out = capsys.readouterr()
        line = json.loads(out.out)
        assert out.out.count("\n") == 1
        assert out.err == ""
        assert line.pop("time") > 0
        assert line.pop("request_id")
        assert line == {
            "event": "answered", "function": "worker", "route": key, "status": 200, "kind": "session",
            "outcome": "ALLOWLIST", "revision": 12,
        }  # fmt: skip
        for private in (alice.name, town, "polecat", "a-secret-letter", "not.read.here"):
            assert private not in out.out

    def test_a_refusal_is_logged_too(self, handler: Handler, capsys: pytest.CaptureFixture[str]) -> None:
        capsys.readouterr()
        handler({"routeKey": "GET /api/towns", "requestContext": {}}, None)
        line = json.loads(capsys.readouterr().out)
        assert (line["route"], line["status"]) == ("GET /api/towns", 401)

    def test_a_fault_of_ours_is_a_problem_and_a_place_not_a_trace(self, capsys: pytest.CaptureFixture[str]) -> None:
        class Broken(TownTable):
            def find(self, town_id: str) -> Town | None:
                raise ZeroDivisionError(f"with {town_id} in its text")

        event = make_event(Person("alice"), SHOW, {"town": "a-secret-town"})
        answer = Worker(Gastown(Broken("worker", None))).answer(event, None)
        reply, logged = read(answer), capsys.readouterr()
        assert (reply.status, reply.slug) == (500, "internal")
        assert json.loads(logged.out)["error"].startswith("ZeroDivisionError test_requests.py:")
        for text in (logged.out, logged.err, answer["body"]):
            assert "a-secret-town" not in text
            assert "Traceback" not in text
