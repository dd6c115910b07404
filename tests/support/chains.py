"""Chains of audit entries, the route that serves them, and each way of tampering with them."""

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs

from headgate.core.audit import GENESIS, sealed


def chain(length: int) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = []
    for revision in range(1, length + 1):
        prev = entries[-1]["digest"] if entries else GENESIS
        actor = {"arn": "arn:aws:iam::1:user/anna", "session": "s", "source_ip": "192.0.2.1"}
        document = {"stage": "percentage", "percent": revision / 1000, "description": "東京"}
        entries.append(
            sealed(
                {"revision": revision, "at": f"2030-01-01T00:00:00.{revision:03}Z", "actor": actor, "action": "stage",
                 "flag": "gastown-access", "before": None, "after": document, "reason": "ramp", "request_id": "r",
                 "prev": prev}
            )
        )  # fmt: skip
    return entries


def serve(entries: list[dict[str, Any]], head: dict[str, Any], reply: Any, page: int = 1_000) -> Callable[[Any], Any]:
    """The audit route: newest first, exclusive bounds, pages of at most `page` by cursor."""

    def answer(request: Any) -> Any:
        query = {name: values[0] for name, values in parse_qs(request.query).items()}
        low, high = int(query.get("after", 0)), int(query.get("before", 10**9))
        wanted = [e for e in reversed(entries) if low < e["revision"] < high]
        start, size = int(query.get("cursor", 0)), min(int(query["limit"]), page)
        more = str(start + size) if start + size < len(wanted) else None
        return reply(body={"entries": wanted[start : start + size], "head": head, "next": more})

    return answer


def head_of(entries: list[dict[str, Any]]) -> dict[str, Any]:
    return {"revision": len(entries), "digest": entries[-1]["digest"] if entries else GENESIS}


def edited(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{**e, "reason": "another"} if e["revision"] == 7 else e for e in entries]


def resealed(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [sealed({**e, "reason": "another"}) if e["revision"] == 6 else e for e in entries]


def deleted(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [e for e in entries if e["revision"] != 7]


def swapped(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [*entries[:6], entries[7], entries[6], *entries[8:]]


def rewritten(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    made = entries[:6]
    for entry in entries[6:]:
        made.append(sealed({**entry, "reason": "another", "prev": made[-1]["digest"]}))
    return made
