"""Describes flags and changes in words. Pure functions from the API's JSON to short text; nothing is escaped here."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

_Document = Mapping[str, Any]

OWN = frozenset(
    ("version", "revision", "updated_at", "updated_by", "added", "removed", "sessions_inside", "last_leaves_at")
)
"""Members that are not content and that a difference leaves out."""

LISTED_AT_MOST = 5
TEXT_AT_MOST = 60


def percent(value: object) -> str:
    """Return a percent as text, as in `25 %`; whole numbers have no decimals."""
    return f"{value:g} %" if isinstance(value, (int, float)) else f"{value} %"


def stage_text(flag: _Document) -> str:
    """Return the stage that is set, with its percent for stage `percentage`."""
    name = str(flag.get("stage", "?"))
    return f"{name} {percent(flag.get('percent', 0))}" if name == "percentage" else name


def kill_text(flag: _Document) -> str:
    """Return the kill and its reach, or "" if the flag is not killed."""
    killed = flag.get("killed")
    if not isinstance(killed, Mapping):
        return ""
    until = f" until {killed['drain_until']}" if killed.get("drain_until") else ""
    return f"killed ({killed.get('reach', 'gate')}{until})"


def kill_reason(flag: _Document) -> str:
    """Return why a flag was killed, by whom, and when, or "" if it is not killed."""
    killed = flag.get("killed")
    if not isinstance(killed, Mapping):
        return ""
    return f"{killed.get('reason')} ({caller(killed.get('by'))}, {killed.get('at')})"


def state(flag: _Document) -> str:
    """Return the kill, if any, and the stage."""
    return f"{kill_text(flag)} over {stage_text(flag)}" if flag.get("killed") else stage_text(flag)


def listed_text(flag: _Document) -> str:
    """Return the number of users, orgs, and rules listed. An id in both the flag and its long list counts twice."""
    allow, beyond = flag.get("allow") or {}, flag.get("members") or {}
    counts = [(len(allow.get(kind) or ()) + (beyond.get(kind) or 0), kind) for kind in ("users", "orgs", "rules")]
    return ", ".join(f"{count} {kind if count > 1 else kind[:-1]}" for count, kind in counts if count)


def unshown_text(flag: _Document) -> str:
    """Return how many ids are listed beyond those that the flag itself holds, or ""."""
    beyond = flag.get("members") or {}
    counts = [f"{beyond[kind]:,} {kind}" for kind in ("users", "orgs") if beyond.get(kind)]
    return f"{' and '.join(counts)} more: headgate allow list {flag.get('key')}" if counts else ""


def facts_text(facts: _Document) -> str:
    """Return what a step of a decision looked at, or "" if there is nothing to tell."""
    if "buckets" in facts:
        unit, share = str(facts.get("unit")).replace("_or_", " or "), percent(facts.get("percent"))
        places = ", ".join(f"{one.get('id')} at {percent(one.get('at'))}" for one in facts["buckets"])
        return f"by {unit}: {places or f'no {unit} is known'}; below {share} is in"
    if "by_id" in facts:
        told = ["listed by id"] * bool(facts["by_id"])
        told += [f"rule {place} holds" for place in facts.get("rules") or ()]
        return ", ".join(told)
    return str(facts.get("reach") or facts.get("reason") or "")


def moved_text(counts: _Document) -> str:
    """Return how many subjects gain and lose access, as in `3 gain, 1 loses`."""
    gains, loses = counts.get("gains") or 0, counts.get("loses") or 0
    return f"{gains} gain{'s' * (gains == 1)}, {loses} lose{'s' * (loses == 1)}"


def share_text(share: _Document) -> str:
    """Return what the bucket lets in, and who gains and loses by it, as in `by user: 10 % → 100 %, 90 % gain`."""
    before, after = share.get("before") or {}, share.get("after") or {}
    moves = [
        f", {percent(share[name])} {word}" for name, word in (("gains", "gain"), ("loses", "lose")) if share.get(name)
    ]
    change = f"{percent(before.get('percent', 0))} → {percent(after.get('percent', 0))}"
    return f"by {after.get('unit') or before.get('unit')}: {change}" + "".join(moves)


def known(counts: _Document) -> str:
    """Return how many subjects were checked, by source."""
    named, sessions, listed = (counts.get(name) or 0 for name in ("named", "sessions", "listed"))
    parts = ((named, "named"), (sessions, "with a session"), (listed, "listed"))
    sources = ", ".join(f"{count} {word}" for count, word in parts if count)
    more = "" if counts.get("complete") is not False else "; there are more"
    return f"{named + sessions + listed} checked" + (f" ({sources}{more})" if sources or more else "")


def affected_text(flags: list[_Document]) -> str:
    """Return the sub-features that change too."""
    return "also: " + "; ".join(f"{one.get('flag')}: {moved_text(one)}" for one in flags) if flags else ""


def subject(who: _Document) -> str:
    """Return a subject as text: `alice`, `alice of acme, example`, `anyone of acme`."""
    orgs = ", ".join(map(str, who.get("orgs") or ()))
    name = str(who.get("user") or "anyone") + (" (admin)" if who.get("admin") is True else "")
    return f"{name} of {orgs}" if orgs else name


def difference(before: object, after: object) -> list[str]:
    """Return what changed from one document to the next, a few words for each change."""
    if before == after:
        return []
    if any(isinstance(document, Mapping) and "stage" in document for document in (before, after)):
        if not isinstance(before, Mapping):
            return [f"created at {state(_mapping(after))}"]
        if not isinstance(after, Mapping):
            return [f"deleted (was {state(before)})"]
    old, new = _mapping(before), _mapping(after)
    if "routes" in old or "routes" in new:
        return list(_routes(old.get("routes") or [], new.get("routes") or []))
    if "keys" in new:
        return list(_keys(old.get("keys") or [], new["keys"]))
    if "kind" in new and "value" in new:
        return [f"{new['kind']} {_short(new['value'])}"]
    return list(_members(old, new))


def _mapping(document: object) -> _Document:
    return document if isinstance(document, Mapping) else {}


def _members(before: _Document, after: _Document) -> Iterator[str]:
    names = [name for name in {**before, **after} if name not in OWN and before.get(name) != after.get(name)]
    if "stage" in names or "percent" in names:
        yield (
            f"{stage_text(before)} → {stage_text(after)}"
            if stage_text(before) != stage_text(after)
            else _plain("percent", before, after)
        )
    for name in names:
        if name == "killed":
            yield kill_text(after) or "restored"
        elif name == "allow":
            yield from _allow(before.get(name) or {}, after.get(name) or {})
        elif name == "members":
            yield from _beyond((after.get(name) or {}).get("changed") or {})
        elif name == "salt":
            yield "salt changed"
        elif name not in ("stage", "percent"):
            yield _plain(name, before, after)


def _plain(name: str, before: _Document, after: _Document) -> str:
    return f"{name}: {_short(before.get(name))} → {_short(after.get(name))}"


def _allow(before: _Document, after: _Document) -> Iterator[str]:
    for kind, word in (("users", "user"), ("orgs", "org")):
        old, new = set(before.get(kind) or ()), set(after.get(kind) or ())
        yield from _named(f"+{word}", new - old)
        yield from _named(f"-{word}", old - new)
    if before.get("rules") != after.get("rules"):
        yield f"rules: {len(before.get('rules') or ())} → {len(after.get('rules') or ())}"


def _beyond(changed: _Document) -> Iterator[str]:
    """Yield the changes of a long list."""
    batch = changed.get("import")
    if isinstance(batch, Mapping):
        what = f"import {batch.get('id')}" if batch.get("kind") else "in one call"
        counts = f"+{changed.get('added')} -{changed.get('removed')} of {batch.get('count')} ids"
        yield f"{what}: {counts}, digest {str(batch.get('digest'))[:12]}…"
    for sign, name in (("+", "added"), ("-", "removed")):
        ids = (changed.get("ids") or {}).get(name) or {}
        for kind, word in (("users", "user"), ("orgs", "org")):
            yield from _named(sign + word, set(ids.get(kind) or ()))


def _named(sign: str, ids: set[str]) -> Iterator[str]:
    shown = sorted(map(str, ids))[:LISTED_AT_MOST]
    yield from (f"{sign} {name}" for name in shown)
    if len(ids) > len(shown):
        yield f"{sign} … {len(ids) - len(shown)} more"


def _routes(before: list[_Document], after: list[_Document]) -> Iterator[str]:
    old, new = ({policy_name(policy): policy for policy in policies} for policies in (before, after))
    changed = [name for name in {**old, **new} if old.get(name) != new.get(name)]
    came, went = len(new.keys() - old.keys()), len(old.keys() - new.keys())
    yield f"routes: +{came} -{went} ~{len(changed) - came - went}"
    yield from (policy_text(name, old.get(name), new.get(name)) for name in changed[:LISTED_AT_MOST])
    if len(changed) > LISTED_AT_MOST:
        yield f"… {len(changed) - LISTED_AT_MOST} more"


def policy_text(name: str, before: _Document | None, after: _Document | None) -> str:
    """Return how a route policy changes, as in `GET /x: entry → open, -flag beta`. A route not listed is entry."""
    old, new = (policy or {} for policy in (before, after))
    classes = [f"{policy.get('class', 'entry')}{'' if policy else ' (not listed)'}" for policy in (old, new)]
    parts = [] if classes[0] == classes[1] else [" → ".join(classes)]
    for kind in ("flags", "asks"):
        was, now = set(old.get(kind) or ()), set(new.get(kind) or ())
        parts += [f"+{kind[:-1]} {key}" for key in sorted(now - was)] + [
            f"-{kind[:-1]} {key}" for key in sorted(was - now)
        ]
    return f"{name}: {', '.join(parts)}"


def field_lines(fields: list[_Document]) -> Iterator[str]:
    """Yield what changes in each member of a flag or of the profile."""
    for one in fields:
        if "added" in one:
            word = str(one.get("path")).rpartition(".")[2].removesuffix("s")
            for sign, kind in (("+", "added"), ("-", "removed")):
                ids, count = one.get(kind) or (), one.get(f"{kind}_count") or 0
                yield from (f"{sign}{word} {name}" for name in ids)
                if count > len(ids):
                    yield f"{sign}{word} … {count - len(ids)} more"
        elif "after" in one:
            yield f"{one.get('path')}: {_value(one.get('before'))} → {_value(one.get('after'))}"
        else:
            yield f"{one.get('path')} changes"


def _value(value: object) -> str:
    """Return a value; text that reads like a JSON number or literal is quoted."""
    looks_like_json = isinstance(value, str) and re.fullmatch(r"true|false|null|none|[-+.0-9][-+.eE0-9]*", value)
    return json.dumps(value) if looks_like_json else "none" if value in ([], {}) else _short(value)


def _keys(before: list[_Document], after: list[_Document]) -> Iterator[str]:
    old = {key.get("kid"): key.get("state") for key in before}
    yield from (f"{key.get('kid')} {key.get('state')}" for key in after if key.get("state") != old.get(key.get("kid")))


def policy_name(policy: _Document) -> str:
    """Return the route or procedure that a route policy is for."""
    return str(policy.get("route") or policy.get("procedure"))


def _short(value: object) -> str:
    if value is None or value == "":
        return "none"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)
    return text if len(text) <= TEXT_AT_MOST else text[: TEXT_AT_MOST - 1] + "…"


def caller(arn: object) -> str:
    """Return the part of an ARN that names the caller: `user/anna`, `assumed-role/Ops/anna`."""
    return str(arn or "").rpartition(":")[2] or "unknown"


def entry_line(entry: _Document) -> str:
    """Return an audit entry as one line: revision, time, action, change, reason, caller."""
    actor = entry.get("actor") or {}
    changes = "; ".join(difference(entry.get("before"), entry.get("after"))) or "no change"
    when = str(entry.get("at", ""))[:19].replace("T", " ")
    action = str(entry.get("action", "")).removeprefix("flag.")
    what = f"{action} {entry.get('flag') or ''}".strip()
    who = caller(actor.get("arn")) + (f" from {actor['source_ip']}" if actor.get("source_ip") else "")
    return f"{entry.get('revision', '?'):>5}  {when}  {what}: {changes}  “{entry.get('reason') or ''}”  {who}"
