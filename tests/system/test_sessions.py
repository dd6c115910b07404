"""Sessions for an operator: listed, counted, capped, and ended for good; and what an admin's session may do."""

import time
import uuid
from typing import Any

import pytest
from refusals import all_refused, beating, starting
from running_gate import Answer, Gate, Person, is_refused_at_the_gate, until
from running_gate.gate import ID_TOKEN, REASON, in_parallel

pytestmark = pytest.mark.own_stack  # lists every session

ACCESS, CONVOYS = "gastown-access", "gastown-convoys"
SESSIONS = "/admin/v1/sessions"
CAP = 50


@pytest.fixture
def opened(fresh: Gate) -> Gate:
    """Everybody is admitted."""
    fresh.stage(ACCESS, "ga")
    return fresh


def all_sessions(gate: Gate, limit: int = 1_000) -> list[dict[str, Any]]:
    """All live sessions, page by page."""
    found: list[dict[str, Any]] = []
    path: str | None = f"{SESSIONS}?limit={limit}"
    while path is not None:
        page = gate.signed("GET", path, role="viewer").expect(200).json
        assert len(page["sessions"]) <= limit
        found += page["sessions"]
        path = page["next"] and f"{SESSIONS}?limit={limit}&cursor={page['next']}"
    return found


def sessions_of(person: Person, sessions: list[dict[str, Any]]) -> dict[str, str]:
    """A person's sessions: record ids by the names the person gave them."""
    return {session["session_id"]: session["id"] for session in sessions if session["subject"] == person.user}


def end(gate: Gate, record: str, *, key: str | None = None, role: str = "editor") -> Answer:
    return gate.change("DELETE", f"{SESSIONS}/{record}", {"reason": REASON}, key=key, role=role)


def test_subject_has_at_most_fifty_sessions_listed_in_pages(opened: Gate, alice: Person) -> None:
    token, other = opened.access_token(alice), Person()
    before = opened.signed("GET", f"{SESSIONS}?limit=1").expect(200).json["counts"]["inside"]
    names = [f"town:{number}" for number in range(CAP)]
    in_parallel(lambda name: opened.session(token, name).expect(200), names, threads=2)
    refused = opened.session(token, "town:one-more").expect(403)
    assert refused.json["error"] == "access_denied"
    opened.session(token, "town:7").expect(200)
    opened.session(opened.access_token(other), "town:7").expect(200)

    listed = all_sessions(opened, limit=7)
    ids = [session["id"] for session in listed]
    assert len(set(ids)) == len(ids), "no session is on two pages"
    assert ids == [session["id"] for session in all_sessions(opened)]
    assert sessions_of(alice, listed).keys() == set(names)
    counts = opened.signed("GET", SESSIONS).expect(200).json["counts"]
    assert counts["inside"] == len(listed) == before + CAP + 1
    assert counts["last_leaves_at"] > max(session["expires_at"] for session in listed)
    mine = sessions_of(alice, listed)["town:7"]
    assert (len(mine), set(mine) <= set("0123456789abcdef")) == (64, True)
    assert alice.user not in mine

    end(opened, mine).expect(204)
    opened.session(token, "town:one-more").expect(200)
    opened.session(token, "town:another").expect(403)
    assert "town:7" not in sessions_of(alice, all_sessions(opened))


def test_ended_session_is_refused_and_its_id_can_be_reused(opened: Gate, alice: Person) -> None:
    token = opened.access_token(alice)
    town = opened.town(alice, token)
    name = f"town:{town}"
    session, other = opened.session_token(token, name), opened.session_token(token, "town:other")
    beating(opened, town, session)().expect(200)
    record = sessions_of(alice, all_sessions(opened))[name]
    key, revision = uuid.uuid4().hex, opened.revision()
    end(opened, record, key=key).expect(204)
    began = time.monotonic()

    opened.session(session, name).expect(400)
    opened.session(opened.id_token(alice), name, ID_TOKEN).expect(403)
    all_refused({"machine route": beating(opened, town, session)}, began=began)
    assert opened.session(other, "town:other").status == 200, "the subject's other session continues"
    starting(opened, alice, token)().expect(201)

    end(opened, record, key=key).expect(204)
    assert end(opened, record).expect(404).slug == "not-found"
    (entry,) = opened.audit(after=revision)
    assert (entry["action"], entry["reason"], entry["flag"]) == ("deny.session", REASON, None)
    assert (entry["after"]["kind"], entry["after"]["value"]) == ("session", record)
    assert alice.user not in str(entry)

    again = until(lambda: opened.session(token, name), lambda answer: answer.status == 200, within=5)
    beating(opened, town, again.json["access_token"])().expect(200)
    assert is_refused_at_the_gate(beating(opened, town, session)())
    assert sessions_of(alice, all_sessions(opened))[name] == record, (
        "an id is made of subject and name, so it is the same"
    )


def test_session_cannot_restart_in_the_second_of_its_end(opened: Gate, alice: Person) -> None:
    """503 for the rest of that second, rather than a token that every route refuses for an hour."""
    token = opened.access_token(alice)
    town = opened.town(alice, token)
    opened.session_token(token, f"town:{town}")
    end(opened, sessions_of(alice, all_sessions(opened))[f"town:{town}"]).expect(204)
    answers = []
    until(lambda: answers.append(opened.session(token, f"town:{town}")) or answers[-1].status == 200, within=5)
    assert {answer.status for answer in answers[:-1]} <= {503}
    assert all(answer.headers["retry-after"] == "1" for answer in answers[:-1])
    beating(opened, town, answers[-1].json["access_token"])().expect(200)


def test_admins_session_decides_flags_as_admin_and_opens_no_admin_route(
    opened: Gate, alice: Person, root: Person
) -> None:
    """The token does not say admin, the record does: it counts for flags on machine routes, never for class `admin`."""
    for person, status in ((root, 201), (alice, 403)):
        token = opened.access_token(person)
        town = opened.town(person, token)
        session = opened.session_token(token, f"town:{town}")
        convoys = opened.call("POST", f"/api/towns/{town}/agents/agent-1/convoys", token=session, body={"name": "c"})
        assert convoys.status == status, (person, convoys.text)
        assert is_refused_at_the_gate(opened.call("POST", "/trpc/gastown.adminListBeads", token=session, body={}))
        answer = opened.call("POST", "/trpc/gastown.adminListBeads", token=token, body={})
        assert is_refused_at_the_gate(answer) is not person.admin
