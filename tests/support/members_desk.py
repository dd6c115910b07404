"""Long lists through the admin API in process: an operator who changes, imports, and reads; an import's digest."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from hashlib import sha256
from itertools import count
from typing import Any

from desk import Ask, Desk, Reply
from fake_clock import FakeClock

from headgate.store.port import Table

WHY = {"reason": "a test"}
ALLOW = "/admin/v1/flags/{key}/allow"
IMPORTS = "/admin/v1/flags/{key}/imports"
IMPORT = IMPORTS + "/{import}"


def digest_of(ids: Iterable[str]) -> str:
    """The digest of an import, as a client computes it."""
    digest = "0" * 64
    for one in ids:
        digest = sha256(f"{digest}\n{one}".encode()).hexdigest()
    return digest


class MembersDesk:
    """An operator of one flag. `inline` is the limit of ids in the flag itself."""

    numbers = count(1)

    def __init__(self, table: Table, clock: FakeClock, *, key: str = "f", inline: int = 1_000, **options: Any) -> None:
        self.desk, self.key, self.table = Desk(table, clock, **options), key, table
        self.desk.admin = replace(self.desk.admin, inline=inline)

    def ask(self, route: str, body: Any = None, *, name: str = "", idem: str | None = None, **headers: str) -> Ask:
        """A request on the flag, or on one of its imports."""
        path = {"key": self.key, **({"import": name} if name else {})}
        return Ask(route, body, path, headers, idem or f"members-{next(self.numbers)}")

    def does(self, route: str, body: Any = None, **options: Any) -> Reply:
        """Send one request."""
        return self.desk.answers(self.ask(route, body, **options))

    def creates(self, **members: Any) -> Reply:
        """Create the flag."""
        body = {"stage": "allowlist", **members, **WHY}
        return self.desk.must(self.ask("PUT /admin/v1/flags/{key}", body, **{"if-none-match": "*"}))

    @property
    def flag(self) -> dict[str, Any]:
        """The flag as it is now."""
        reply = self.does("GET /admin/v1/flags/{key}")
        assert reply.status == 200, reply
        body: dict[str, Any] = reply.body
        return body

    def changes(self, *, add: Sequence[str] = (), remove: Sequence[str] = (), kind: str = "users",
                match: str | None = None, shrink: bool = True, idem: str | None = None) -> Reply:  # fmt: skip
        """Send `POST …/allow` with the flag's current ETag, or with `match`."""
        body = {"add": {kind: list(add)}, "remove": {kind: list(remove)}, "allow_shrink": shrink, **WHY}
        etag = match or f'"{self.flag["version"]}"'
        return self.does(f"POST {ALLOW}", body, idem=idem, **{"if-match": etag})

    def members(self, kind: str = "user", limit: int = 1_000) -> list[str]:
        """All members of the list, page by page."""
        return [name for page in self.pages(kind, limit) for name in page["members"]]

    def pages(self, kind: str = "user", limit: int = 1_000) -> Iterable[dict[str, Any]]:
        """The pages of the list."""
        query: dict[str, str] = {"kind": kind, "limit": str(limit)}
        while True:
            reply = self.desk.answers(replace(self.ask(f"GET {ALLOW}"), query=query))
            assert reply.status == 200, reply
            yield reply.body
            if reply.body["next"] is None:
                return
            query["cursor"] = reply.body["next"]

    def opens(self, name: str, mode: str = "add", kind: str = "user") -> Reply:
        """Open an import."""
        return self.does(f"POST {IMPORTS}", {"id": name, "kind": kind, "mode": mode, **WHY})

    def shows(self, name: str) -> Reply:
        """Show an import."""
        return self.does(f"GET {IMPORT}", name=name)

    def stages(self, name: str, ids: Sequence[str], at: int = 0) -> Reply:
        """Stage some ids."""
        return self.does(f"POST {IMPORT}/members", {"at": at, "ids": list(ids)}, name=name)

    def commits(self, name: str, ids: Sequence[str], *, shrink: bool = True) -> Reply:
        """Commit an import; `ids` are all its ids."""
        body = {"count": len(ids), "digest": digest_of(ids), "allow_shrink": shrink, **WHY}
        return self.does(f"POST {IMPORT}/commit", body, name=name)

    def abandons(self, name: str) -> Reply:
        """Abandon an import."""
        return self.does(f"DELETE {IMPORT}", WHY, name=name)

    def imports(self, name: str, ids: Sequence[str], mode: str = "add", kind: str = "user") -> Reply:
        """Run a whole import, 1,000 ids per call."""
        assert self.opens(name, mode, kind).status in (200, 201)
        for begin in range(0, len(ids), 1_000):
            assert self.stages(name, ids[begin : begin + 1_000], begin).status == 200
        return self.commits(name, ids)

    def explains(self, user: str | None = None, orgs: Sequence[str] = (), as_of: int | None = None) -> tuple[bool, str]:
        """Value and reason, now or as of a revision."""
        body: dict[str, Any] = {"flag": self.key, "subject": {"user": user, "orgs": list(orgs)}}
        body |= {} if as_of is None else {"as_of": as_of}
        reply = self.does("POST /admin/v1/explain", body)
        assert reply.status == 200, reply
        return reply.body["value"], reply.body["reason"]
