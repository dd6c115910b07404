"""The callers of the tour: people with identity tokens, an operator who signs, an agent with a session token.

Each method makes one request and returns its scene, compared with what was expected. Tokens never appear in a scene.
"""

import base64
import json
import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from headgate.edge.oauth import ACCESS_TOKEN
from headgate_cli import exchange, failures, wording
from headgate_cli.client import Client
from headgate_cli.exchange import Who
from headgate_cli.tour.scene import Scene
from headgate_cli.transport import HttpAnswer, NoAnswer, Transport

OPERATOR, AGENT = "operator", "agent"
STALE_AT_MOST = 6.0
"""Seconds that evaluate may lag behind a change: it refreshes every 4 to 5 s."""
POLL = 0.2


@dataclass
class Cast:
    """The callers, their tokens, and the ids that their requests created."""

    api: str
    idp: str
    people: Mapping[str, Who]
    admin: Client
    transport: Transport
    tokens: dict[str, str] = field(default_factory=dict)
    places: dict[str, str] = field(default_factory=dict)
    flags: dict[str, dict[str, Any]] = field(default_factory=dict)
    before_kill: dict[str, dict[str, Any]] = field(default_factory=dict)
    began_at: int = 0  # the revision at which the tour began
    found: dict[str, dict[str, Any]] = field(default_factory=dict)
    revision: int = 0  # of the newest change
    killed_at: float = 0.0  # monotonic time of a kill that has not refused anyone yet

    def mint(self, who: str, *, expect: int, on: tuple[str, ...] | None = None, keep: str | None = None) -> Scene:
        """Exchange an identity token for an access token. `on` are the flags that it must list."""
        answer = exchange.exchange(self.transport, self.api, self._identity(who))
        if not answer.ok:
            return scene(who, "POST /v1/token", answer, expect, str(answer.document.get("error")))
        token = str(answer.document["access_token"])
        self.tokens[keep or who] = token
        named = tuple(claims_of(token).get("entitlements", ()))
        told = f"token, on: {', '.join(named)}" if len(named) <= 2 else f"token, on: {len(named)} flags"
        return scene(who, "POST /v1/token", answer, expect, told, on is None or on == named)

    def session(self, who: str, session: str, *, expect: int, by: str, told: str) -> Scene:
        """Start or renew a session, by an access token (`access`), its own (`session`), or an identity token."""
        name = session.format(**self.places)
        if by == "identity":
            answer = exchange.exchange(self.transport, self.api, self._identity(who), session=name)
        else:
            held = self._token(AGENT if by == "session" else who)
            answer = exchange.exchange(self.transport, self.api, held, kind=ACCESS_TOKEN, session=name)
        if answer.ok:
            self.tokens[AGENT] = str(answer.document["access_token"])
        return scene(AGENT if by == "session" else who, "POST /v1/token", answer, expect, told)

    def operate(self, action: str, key: str, body: Mapping[str, Any]) -> Scene:
        """Make one signed change to a flag: `stage`, `allow`, `kill`, or `restore`."""
        path = f"/admin/v1/flags/{key}"
        before = self.flags.get(key) or self.read(key)
        given = {**body, "reason": body.get("reason", "headgate tour")}
        if action == "kill":
            answer = self.admin.kill(key, given)
            self.killed_at = time.monotonic()
        elif action == "restore":
            answer = self.admin.change("POST", f"{path}/{action}", given).required()
        else:
            answer = self.admin.update("POST", f"{path}/{action}", given, read=path)
        after = {**before, **answer.document}
        self.flags[key], self.revision = after, int(after.get("revision", 0))
        told = ", ".join(wording.difference(before, after))
        inside = after.get("sessions_inside")
        told += f", running sessions: {inside}" if inside is not None else ""
        return scene(OPERATOR, f"POST {path}/{action}", answer, 200, told)

    def read(self, key: str) -> dict[str, Any]:
        """Return a flag."""
        found: dict[str, Any] = self.admin.get(f"/admin/v1/flags/{key}").document
        return found

    def work(self, who: str, asked: str, *, expect: int, told: str, body: Any = None, keep: str | None = None) -> Scene:
        """Make one request to the protected service. `keep` is the name under which the answer's `id` is kept.

        `told` may contain members of the answer, in braces.
        """
        method, _, path = asked.partition(" ")
        headers = {"Authorization": f"Bearer {self._token(who)}", "Content-Type": "application/json"}
        data = b"" if body is None else json.dumps(body).encode()
        answer = self._send(method, path.format(user=who, **self.places), data, headers)
        document = answer.document
        if keep is not None and answer.ok:
            self.places[keep] = str(document.get("id"))
        members = defaultdict(str, document if isinstance(document, dict) else {})
        words = told.format_map(members) if answer.status == expect else detail_of(document)
        return scene(who, asked, answer, expect, words)

    def evaluate(self, who: str, key: str, *, value: bool, reason: str) -> Scene:
        """Evaluate one flag with an evaluation token, until the answer reflects the newest change."""
        token = self._evaluation(who)
        answer = self._fresh(key, token, {})
        document = answer.document
        found = (document.get("value"), document.get("metadata", {}).get("reason"))
        told = f"{json.dumps(found[0])}, {document.get('reason')} ({found[1]})"
        return scene(who, f"POST /ofrep/v1/evaluate/flags/{key}", answer, 200, told, found == (value, reason))

    def census(self, key: str, percent: float, ids: int) -> Scene:
        """Evaluate a flag for many users with a service token. The count may be off by 4 standard deviations."""
        service = self.admin.send("POST", "/v1/service-token").required().document["access_token"]
        answers = [self._fresh(key, service, {"targetingKey": f"user-{n:04}"}) for n in range(ids)]
        count = sum(answer.document.get("value") is True for answer in answers)
        mean, spread = ids * percent / 100, 4 * (ids * percent / 100 * (1 - percent / 100)) ** 0.5
        told = f"{count} of {ids} users are in ({100 * count / ids:.1f} %)"
        asked = f"POST /ofrep/v1/evaluate/flags/{key}"
        return scene("backend", asked, answers[-1], 200, told, abs(count - mean) <= spread)

    def _fresh(self, key: str, token: str, context: Mapping[str, Any]) -> HttpAnswer:
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        data = json.dumps({"context": context}).encode()
        deadline = time.monotonic() + STALE_AT_MOST
        while True:
            answer = self._send("POST", f"/ofrep/v1/evaluate/flags/{key}", data, headers)
            revision = answer.headers.get("x-headgate-revision", "0")
            if not answer.ok or int(revision) >= self.revision or time.monotonic() > deadline:
                return answer
            time.sleep(POLL)

    def _evaluation(self, who: str) -> str:
        answer = exchange.exchange(self.transport, self.api, self._identity(who), scope="evaluate").required()
        return str(answer.document["access_token"])

    def _identity(self, who: str) -> str:
        held = self.tokens.get(f"{who}'s identity")
        if held is None:
            held = exchange.identity_token(self.transport, self.idp, self.people[who])
            self.tokens[f"{who}'s identity"] = held
        return held

    def _token(self, who: str) -> str:
        if who not in self.tokens:
            raise failures.unavailable(f"{who} has no token because an earlier step failed")
        return self.tokens[who]

    def _send(self, method: str, path: str, data: bytes, headers: Mapping[str, str]) -> HttpAnswer:
        try:
            return self.transport.send(method, self.api + path, data, headers)
        except NoAnswer as error:
            raise failures.unavailable(str(error)) from None


def scene(who: str, asked: str, answer: HttpAnswer, expect: int, told: str, also: bool = True) -> Scene:
    """Return the scene of an answer. It holds if the status is the expected one and `also` is true."""
    wanted = f"status {expect}" if answer.status != expect else "a different answer"
    return Scene(who, asked, answer.status, told, answer.status == expect and also, wanted)


def detail_of(document: Any) -> str:
    """Return the reason in an error answer."""
    found = document if isinstance(document, dict) else {}
    return str(found.get("detail") or found.get("title") or found.get("message") or "")


def claims_of(token: str) -> dict[str, Any]:
    """Return a token's claims without verifying them: for display, never for a decision."""
    payload = token.split(".")[1]
    found = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return found if isinstance(found, dict) else {}
