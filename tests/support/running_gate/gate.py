"""The gate as its clients see it: identity provider, token endpoint, OFREP, admin API, worker routes.

Every call is HTTP to the URL in the ready line. Admin calls are signed by botocore.
"""

import json
import uuid
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar
from urllib.parse import urlencode

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from running_gate.deadline import until
from running_gate.http import Answer, Client, Http
from running_gate.people import Person

T = TypeVar("T")
U = TypeVar("U")

GRANT = "urn:ietf:params:oauth:grant-type:token-exchange"
ID_TOKEN = "urn:ietf:params:oauth:token-type:id_token"
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"
SESSION_TOKEN = "urn:headgate:params:oauth:token-type:session"
FORM = "application/x-www-form-urlencoded"
REASON = "a test's change"
BULK = "/ofrep/v1/evaluate/flags"
SETTLED_WITHIN = 10.0
"""Seconds for evaluate to see a change: 5 are guaranteed, the rest is for a busy machine."""
SERVERS = frozenset(
    "members version revision killed updated_at updated_by added removed sessions_inside last_leaves_at".split()
)
"""Members of a flag answer that only the server writes."""


class Gate:
    """A running stack. `ready` is the line that `headgate local --ready-json` printed."""

    def __init__(self, ready: Mapping[str, Any], http: Client | None = None) -> None:
        self.ready: Mapping[str, Any] = ready
        self.http: Client = http or Http()
        self.api, self.idp = str(ready["api"]), str(ready["idp"])

    # -- any call

    def call(
        self,
        method: str,
        path: str,
        *,
        token: str | None = None,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """One call of the API, with `body` as JSON and `token` as bearer."""
        sent = dict(headers or {})
        if token is not None:
            sent["authorization"] = f"Bearer {token}"
        if body is not None:
            sent.setdefault("content-type", "application/json")
        raw = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        return self.http.send(method, self.api + path, headers=sent, body=raw)

    # -- tokens

    def id_token(self, person: Person) -> str:
        """An identity token of the development provider."""
        form = urlencode(person.form()).encode()
        answer = self.http.send("POST", f"{self.idp}/token", headers={"content-type": FORM}, body=form)
        return str(answer.expect(200).json["id_token"])

    def exchange(self, subject_token: str, subject_type: str = ID_TOKEN, **fields: str) -> Answer:
        """A token exchange (RFC 8693) with these form fields."""
        form = {"grant_type": GRANT, "subject_token": subject_token, "subject_token_type": subject_type, **fields}
        body = urlencode(form).encode()
        return self.http.send("POST", f"{self.api}/v1/token", headers={"content-type": FORM}, body=body)

    def mint(self, person: Person) -> Answer:
        """Exchange a fresh identity token for an access token: 200, or 403 if access is denied."""
        return self.exchange(self.id_token(person))

    def access_token(self, person: Person) -> str:
        """An access token of an admitted person."""
        return _token(self.mint(person))

    def evaluation_token(self, person: Person) -> str:
        """A token that only evaluates, which every verified subject gets."""
        return _token(self.exchange(self.id_token(person), scope="evaluate"))

    def session(self, own_token: str, session_id: str, subject_type: str = ACCESS_TOKEN) -> Answer:
        """The exchange for a session token."""
        return self.exchange(own_token, subject_type, requested_token_type=SESSION_TOKEN, session_id=session_id)

    def session_token(self, access_token: str, session_id: str) -> str:
        """A session token from an access token."""
        return _token(self.session(access_token, session_id))

    def service_token(self) -> str:
        """A token that may evaluate for any subject."""
        return _token(self.signed("POST", "/v1/service-token"))

    # -- the worker

    def create_town(self, person: Person, token: str, org: str | None = None) -> Answer:
        """Create a town of a user or an org: the first action of an admitted user."""
        path = f"/api/users/{person.user}/towns" if org is None else f"/api/orgs/{org}/towns"
        return self.call("POST", path, token=token, body={"name": "a town"})

    def town(self, person: Person, token: str) -> str:
        """The id of a new town."""
        return str(self.create_town(person, token).expect(201).json["id"])

    # -- signed calls

    def signed(
        self, method: str, path: str, body: Any = None, *, role: str = "admin", headers: Mapping[str, str] | None = None
    ) -> Answer:
        """One SigV4-signed call by a principal of the ready line. `body`: JSON, or bytes unchanged."""
        raw = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        sent = {"content-type": "application/json"} if raw is not None else {}
        request = AWSRequest(method, self.api + path, headers={**sent, **(headers or {})}, data=raw)
        keys = self.ready[role]
        signer = SigV4Auth(
            Credentials(keys["access_key_id"], keys["secret_access_key"]), "execute-api", self.ready["region"]
        )
        signer.add_auth(request)
        return self.http.send(method, self.api + path, headers=dict(request.headers.items()), body=raw)

    def change(
        self, method: str, path: str, body: Any = None, *,
        version: int | None = None, key: str | None = None, role: str = "admin",
        headers: Mapping[str, str] | None = None,
    ) -> Answer:  # fmt: skip
        """A mutating call with a new Idempotency-Key (or `key`), and If-Match if there is a `version`."""
        sent = {"idempotency-key": key or uuid.uuid4().hex}
        if version is not None:
            sent["if-match"] = f'"{version}"'
        return self.signed(method, path, body, role=role, headers={**sent, **(headers or {})})

    # -- flags

    def flag(self, key: str) -> dict[str, Any]:
        """A flag."""
        found: dict[str, Any] = self.signed("GET", f"/admin/v1/flags/{key}").expect(200).json
        return found

    def flags(self) -> dict[str, dict[str, Any]]:
        """Every flag by key."""
        listed = self.signed("GET", "/admin/v1/flags?limit=1000").expect(200).json
        return {flag["key"]: flag for flag in listed["flags"]}

    def create(self, key: str, **members: Any) -> dict[str, Any]:
        """Create a flag, with defaults for omitted members."""
        document = {"key": key, "reason": REASON, **members}
        created: dict[str, Any] = (
            self.change("PUT", f"/admin/v1/flags/{key}", document, headers={"if-none-match": "*"}).expect(201).json
        )
        return created

    def replace(self, key: str, **members: Any) -> dict[str, Any]:
        """Replace a flag, changing only `members`. It may remove access."""
        held = self.flag(key)
        document = {**settings(held), "reason": REASON, "allow_shrink": True, **members}
        answer = self.change("PUT", f"/admin/v1/flags/{key}", document, version=held["version"])
        changed: dict[str, Any] = answer.expect(200).json
        return changed

    def stage(self, key: str, stage: str, **members: Any) -> dict[str, Any]:
        """Set a stage (`percent`, `unit`), forward or back."""
        body = {"stage": stage, "reason": REASON, "allow_shrink": True, **members}
        answer = self.change("POST", f"/admin/v1/flags/{key}/stage", body, version=self.flag(key)["version"])
        changed: dict[str, Any] = answer.expect(200).json
        return changed

    def allow(self, key: str, *, users: Iterable[str] = (), orgs: Iterable[str] = ()) -> dict[str, Any]:
        """Add to the lists."""
        return self._members(key, {"add": {"users": list(users), "orgs": list(orgs)}})

    def disallow(self, key: str, *, users: Iterable[str] = (), orgs: Iterable[str] = ()) -> dict[str, Any]:
        """Remove from the lists."""
        return self._members(key, {"remove": {"users": list(users), "orgs": list(orgs)}, "allow_shrink": True})

    def _members(self, key: str, body: Mapping[str, Any]) -> dict[str, Any]:
        path, version = f"/admin/v1/flags/{key}/allow", self.flag(key)["version"]
        changed: dict[str, Any] = (
            self.change("POST", path, {**body, "reason": REASON}, version=version).expect(200).json
        )
        return changed

    def kill(self, key: str, *, role: str = "kill_operator", **members: Any) -> dict[str, Any]:
        """Kill a flag with one signed request."""
        answer = self.signed("POST", f"/admin/v1/flags/{key}/kill", {"reason": REASON, **members}, role=role)
        killed: dict[str, Any] = answer.expect(200).json
        return killed

    def restore(self, key: str) -> dict[str, Any]:
        """Lift the kill."""
        answer = self.change("POST", f"/admin/v1/flags/{key}/restore", {"reason": REASON})
        restored: dict[str, Any] = answer.expect(200).json
        return restored

    def delete(self, key: str) -> None:
        """Delete a flag permanently."""
        body = {"reason": REASON, "allow_shrink": True}
        self.change("DELETE", f"/admin/v1/flags/{key}", body, version=self.flag(key)["version"]).expect(204)

    def have(self, key: str, **members: Any) -> dict[str, Any]:
        """A flag with these members and defaults for the rest, new or existing: a deleted key cannot be reused."""
        held = self.flags().get(key)
        if held is None:
            return self.create(key, **members)
        if held["killed"] is not None:
            self.restore(key)
            held = self.flag(key)
        document = {"reason": REASON, "allow_shrink": True, **members}
        answer = self.change("PUT", f"/admin/v1/flags/{key}", document, version=held["version"])
        changed: dict[str, Any] = answer.expect(200).json
        return changed

    def reset(self, flags: Mapping[str, Mapping[str, Any]]) -> None:
        """Reset flags to what `flags()` returned before. Other flags stay unchanged."""
        held = self.flags()
        for key, wanted in flags.items():
            if held[key]["killed"] is not None:
                self.restore(key)
            if settings(held[key]) != settings(wanted):
                self.replace(key, **{name: value for name, value in settings(wanted).items() if name != "key"})

    # -- reading the rules

    def revision(self) -> int:
        """The newest revision."""
        return int(self.signed("GET", "/admin/v1/audit?limit=1").expect(200).json["head"]["revision"])

    def audit(self, *, after: int = 0) -> list[dict[str, Any]]:
        """The audit entries after a revision, oldest first, page by page."""
        entries: list[dict[str, Any]] = []
        path: str | None = f"/admin/v1/audit?after={after}&limit=1000"
        while path is not None:
            page = self.signed("GET", path).expect(200).json
            entries += page["entries"]
            more = page["next"]
            path = None if more is None else f"/admin/v1/audit?after={after}&limit=1000&cursor={more}"
        return entries[::-1]

    def explain(self, key: str, person: Person, **members: Any) -> dict[str, Any]:
        """The decision with each step."""
        body = {"flag": key, "subject": person.document(), **members}
        explained: dict[str, Any] = self.signed("POST", "/admin/v1/explain", body).expect(200).json
        return explained

    def evaluate(self, key: str, token: str, context: Mapping[str, Any] | None = None) -> Answer:
        """One flag over OFREP."""
        return self.call("POST", f"{BULK}/{key}", token=token, body={"context": dict(context or {})})

    def evaluate_all(
        self, token: str, context: Mapping[str, Any] | None = None, *, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Every flag over OFREP."""
        return self.call("POST", BULK, token=token, body={"context": dict(context or {})}, headers=headers)

    def settled(self) -> int:
        """Wait until evaluate answers at the newest revision, and return it."""
        newest, token = self.revision(), self.service_token()
        context = {"targetingKey": "settled"}
        until(lambda: self.evaluate_all(token, context).revision, lambda seen: seen >= newest, within=SETTLED_WITHIN)
        return newest


def in_parallel(call: Callable[[T], U], items: Iterable[T], *, threads: int = 8) -> list[U]:
    """The results of `call` for each item, in order. Raises what any call raises."""
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(call, items))


def settings(flag: Mapping[str, Any]) -> dict[str, Any]:
    """A flag without the members that only the server writes."""
    return {name: value for name, value in flag.items() if name not in SERVERS}


def verdicts(bulk: Answer) -> dict[str, Any]:
    """Flag to value of a bulk answer."""
    return {flag["key"]: flag["value"] for flag in bulk.expect(200).json["flags"]}


def _token(answer: Answer) -> str:
    return str(answer.expect(200).json["access_token"])
