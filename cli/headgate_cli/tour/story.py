"""The story, chapter by chapter: a fresh install, an allowlist, a percentage, GA, a kill, its restore, the proof."""

import time
from collections.abc import Iterator
from typing import Any

from headgate.core.audit import verify
from headgate_cli import wording
from headgate_cli.audit_stream import head_of, oldest_first
from headgate_cli.tour.cast import AGENT, OPERATOR, Cast
from headgate_cli.tour.scene import Chapter, Note, Scene

ACCESS, CONVOYS = "gastown-access", "gastown-convoys"
SAMPLE = 400
OWN_TOWN, CONTAINER = "POST /api/users/{user}/towns", "/api/towns/{town}/container"
HEARTBEAT = "POST /api/towns/{town}/agents/mayor/heartbeat"
NEVER_THE_SAME = ("version", "revision", "updated_at", "updated_by")

Play = Iterator[Scene | Note]


def fresh(cast: Cast) -> Play:
    """Nothing was configured: stage admin_only."""
    yield cast.mint("root", expect=200)
    yield cast.mint("alice", expect=403)
    yield cast.mint("bob", expect=403)


def allowlist(cast: Cast) -> Play:
    """A user, then an org."""
    yield cast.operate("allow", ACCESS, {"add": {"users": ["alice"], "orgs": []}})
    yield cast.operate("stage", ACCESS, {"stage": "allowlist"})
    yield cast.mint("alice", expect=200, on=(ACCESS,))
    yield cast.mint("bob", expect=403)
    yield cast.operate("allow", ACCESS, {"add": {"users": [], "orgs": ["acme"]}})
    yield cast.mint("bob", expect=200, on=(ACCESS,))
    yield cast.mint("carol", expect=403)


def quarter(cast: Cast) -> Play:
    """25 % of all users; those on the list stay."""
    yield cast.operate("stage", ACCESS, {"stage": "percentage", "percent": 25})
    yield cast.census(ACCESS, 25, SAMPLE)
    yield cast.mint("alice", expect=200, on=(ACCESS,))


def everyone(cast: Cast) -> Play:
    """GA, with one sub-feature held back."""
    yield cast.operate("stage", ACCESS, {"stage": "ga"})
    yield cast.operate("allow", CONVOYS, {"add": {"users": ["alice"], "orgs": []}})
    yield cast.operate("stage", CONVOYS, {"stage": "allowlist"})
    yield cast.mint("carol", expect=200, on=(ACCESS,))
    yield cast.mint("alice", expect=200, on=(ACCESS, CONVOYS))


def work(cast: Cast) -> Play:
    """A town, its session, a container, an agent that lives."""
    yield cast.work("carol", OWN_TOWN, expect=201, told="a town of her own", body={"name": "Dodge"}, keep="town")
    yield cast.work("carol", "POST /api/towns/{town}/convoys", expect=403, told="convoys are not open to carol yet")
    yield cast.session("carol", "town:{town}", expect=200, by="access", told="session token for the town's agents")
    yield cast.work("carol", f"POST {CONTAINER}", expect=201, told=_state)
    yield cast.work(AGENT, HEARTBEAT, expect=200, told="alive")


def kill(cast: Cast) -> Play:
    """No new access, at once; what runs goes on."""
    cast.before_kill = cast.read(ACCESS)
    yield cast.operate("kill", ACCESS, {"reason": "the tour pulls the switch", "reach": "gate"})
    refused = cast.mint("carol", expect=403)
    yield _timed(refused, cast)
    yield cast.work("carol", OWN_TOWN, expect=403, told="refused, her token is older than the kill")
    yield cast.mint("root", expect=200)
    yield cast.work(AGENT, HEARTBEAT, expect=200, told="the running agent goes on")
    yield cast.session("carol", "town:{town}", expect=200, by="session", told="its session is renewed")
    yield cast.session("carol", "town:{town}", expect=200, by="identity", told="carol renews it by her identity alone")
    yield cast.work("carol", "GET /api/towns/{town}/status", expect=200, told="she still sees her town")
    yield cast.work("carol", f"DELETE {CONTAINER}", expect=200, told=_state)
    yield cast.work("carol", f"POST {CONTAINER}", expect=403, told="a new container would be new use")
    yield cast.evaluate("carol", ACCESS, value=False, reason="KILLED")
    yield cast.evaluate("alice", CONVOYS, value=False, reason="PREREQUISITE_FAILED")


def restore(cast: Cast) -> Play:
    """The kill lay over the flag: lifting it gives back exactly what was."""
    yield cast.operate("restore", ACCESS, {"reason": "the tour lets go"})
    same = _content(cast.read(ACCESS)) == _content(cast.before_kill)
    told = f"{wording.stage(cast.flags[ACCESS])}: the same document as before the kill"
    yield Scene(OPERATOR, f"GET /admin/v1/flags/{ACCESS}", 200, told, same, "the document as before the kill")
    yield cast.mint("carol", expect=200, on=(ACCESS,))
    yield cast.work("carol", f"POST {CONTAINER}", expect=201, told=_state)


def proof(cast: Cast) -> Play:
    """Every change is on record, and the record cannot be rewritten unseen."""
    head = head_of(cast.admin)
    entries = list(oldest_first(cast.admin, int(head["revision"])))
    for entry in entries:
        if entry["revision"] > cast.began_at:
            yield Note(_logged(entry))
    broken = verify(entries, head)
    told = f"{head['revision']} entries, each sealed by the next" if broken is None else f"breaks at {broken.revision}"
    yield Scene(OPERATOR, "GET /admin/v1/audit", 200, told, broken is None, "an unbroken chain")


def _logged(entry: dict[str, Any]) -> str:
    change = ", ".join(wording.difference(entry.get("before"), entry.get("after")))
    what = f"{str(entry['action']).removeprefix('flag.'):<8} {entry.get('flag') or ''}"
    return f"{entry['revision']:>3}  {str(entry['at'])[11:23]}  {what:<25} {change:<32} “{entry['reason']}”"


def _state(document: Any) -> str:
    return f"container {document.get('state')}" if isinstance(document, dict) else ""


def _timed(refused: Scene, cast: Cast) -> Scene:
    after = (time.monotonic() - cast.killed_at) * 1000
    told = f"{refused.told}, {after:.0f} ms after the kill"
    return Scene(refused.who, refused.asked, refused.status, told, refused.holds, refused.wanted)


def _content(flag: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in flag.items() if name not in NEVER_THE_SAME}


STORY: tuple[Chapter[Cast], ...] = (
    Chapter("A fresh install lets in the admin, nobody else", fresh),
    Chapter("Allowlist: one user, then one org", allowlist),
    Chapter("A quarter of all users", quarter),
    Chapter("Everyone, but convoys only for alice", everyone),
    Chapter("Work begins", work),
    Chapter("Kill: nobody new comes in, what runs goes on", kill),
    Chapter("Restore: exactly as it was", restore),
    Chapter("The record", proof),
)
