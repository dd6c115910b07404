"""Reads a story and plays it: a YAML file of people, flags, and chapters of steps. Each step makes one request.

A step's first member says what is done, and to what or by whom; `told` is what the tour prints of the answer:

    {mint: alice, expect: 200, on: [flag]}              exchange alice's identity token; `on` are the flags it must name
    {allow: flag, add: {users: [alice], orgs: []}}      a signed change of a flag; so are the next three
    {stage: flag, to: percentage, percent: 25}
    {kill: flag, reason: why}
    {restore: flag, reason: why}
    {unchanged: flag}                                   the flag is as it was before its kill
    {census: flag, percent: 25, ids: 400}               evaluate it for so many made-up users
    {evaluate: flag, who: carol, value: false, reason: KILLED}
    {session: "id:{kept}", who: carol, by: access, told: text}      by her access token, its own, or identity
    {call: "POST /things", by: carol, expect: 201, told: "{state}", body: {}, keep: kept}
    {audit: verify}                                     what was changed, and that the record holds

`keep` names the answer's `id` for later steps, which write it in braces; `{user}` is whoever calls.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from headgate.core.audit import verify_chain
from headgate_cli import failures, wording
from headgate_cli.audit_stream import oldest_first, stream_head
from headgate_cli.exchange import Who
from headgate_cli.manifest_file import read_mapping
from headgate_cli.tour.cast import OPERATOR, Cast
from headgate_cli.tour.scene import Chapter, Note, Scene

NEVER_THE_SAME = ("version", "revision", "updated_at", "updated_by")

Shown = Iterator[Scene | Note]
Members = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Story:
    """Who plays, the flags that must be fresh when it begins, and what happens."""

    people: Mapping[str, Who]
    flags: tuple[str, ...]
    chapters: tuple[Chapter[Cast], ...]


def read_story(path: Path) -> Story:
    """Read a story. Raises `Failure` for a file that is not one."""
    found = read_mapping(path)
    try:
        people = {
            name: Who(name, tuple(who.get("orgs", ())), who.get("admin", False))
            for name, who in found["people"].items()
        }
        chapters = tuple(Chapter(each["title"], partial(_play, _steps(each["steps"]))) for each in found["chapters"])
        return Story(people, tuple(found["flags"]), chapters)
    except (AttributeError, KeyError, TypeError) as fault:
        raise failures.usage(f"{path} is not a story", f"{type(fault).__name__}: {fault}") from None


def _steps(listed: list[Members]) -> list[tuple["StoryStep", str, Members]]:
    steps = []
    for members in listed:
        kind, named = next(iter(members.items()))
        steps.append((STEPS[kind], named, {name: value for name, value in members.items() if name != kind}))
    return steps


def _play(steps: list[tuple["StoryStep", str, Members]], cast: Cast) -> Shown:
    for step, named, members in steps:
        yield from step(cast, named, members)


def _mint(cast: Cast, who: str, members: Members) -> Shown:
    """Exchange an identity token. The first refusal after a kill says how long ago that was."""
    on = members.get("on")
    scene = cast.mint(who, expect=members["expect"], on=None if on is None else tuple(on))
    if scene.status == 403 and cast.killed_at:
        after = (time.monotonic() - cast.killed_at) * 1000
        cast.killed_at = 0.0
        scene = replace(scene, told=f"{scene.told}, {after:.0f} ms after the kill")
    yield scene


def _change(action: str, cast: Cast, key: str, members: Members) -> Shown:
    """A signed change of a flag."""
    yield cast.operate(action, key, {{"to": "stage"}.get(name, name): value for name, value in members.items()})


def _kill(cast: Cast, key: str, members: Members) -> Shown:
    """The switch."""
    cast.before_kill[key] = cast.read(key)
    yield cast.operate("kill", key, {"reach": "gate", **members})


def _unchanged(cast: Cast, key: str, _members: Members) -> Shown:
    """The kill lay over the flag: lifting it gave back exactly what was."""
    now = cast.read(key)
    same = content(now) == content(cast.before_kill.get(key, {}))
    told = f"{wording.stage_text(now)}: the same document as before the kill"
    yield Scene(OPERATOR, f"GET /admin/v1/flags/{key}", 200, told, same, "the document as before the kill")


def _census(cast: Cast, key: str, members: Members) -> Shown:
    """Evaluate for many."""
    yield cast.census(key, **members)


def _evaluate(cast: Cast, key: str, members: Members) -> Shown:
    """Evaluate for one."""
    yield cast.evaluate(members["who"], key, value=members["value"], reason=members["reason"])


def _session(cast: Cast, named: str, members: Members) -> Shown:
    """Start or renew a session."""
    yield cast.session(members["who"], named, expect=200, by=members["by"], told=members["told"])


def _call(cast: Cast, asked: str, members: Members) -> Shown:
    """A request to the protected service."""
    yield cast.work(asked=asked, **{{"by": "who"}.get(name, name): value for name, value in members.items()})


def _audit(cast: Cast, _what: str, _members: Members) -> Shown:
    """Every change is on record, and the record cannot be rewritten unseen."""
    head = stream_head(cast.admin)
    entries = list(oldest_first(cast.admin, int(head["revision"])))
    for entry in entries:
        if entry["revision"] > cast.began_at:
            yield Note(_logged(entry))
    broken = verify_chain(entries, head)
    told = f"{head['revision']} entries, each sealed by the next" if broken is None else f"breaks at {broken.revision}"
    yield Scene(OPERATOR, "GET /admin/v1/audit", 200, told, broken is None, "an unbroken chain")


def _logged(entry: dict[str, Any]) -> str:
    change = ", ".join(wording.difference(entry.get("before"), entry.get("after")))
    what = f"{str(entry['action']).removeprefix('flag.'):<8} {entry.get('flag') or ''}"
    return f"{entry['revision']:>3}  {str(entry['at'])[11:23]}  {what:<25} {change:<32} “{entry['reason']}”"


def content(flag: dict[str, Any]) -> dict[str, Any]:
    """What a flag says, without when and how often it was changed."""
    return {name: value for name, value in flag.items() if name not in NEVER_THE_SAME}


StoryStep = Callable[[Cast, str, Members], Shown]
STEPS: Mapping[str, StoryStep] = {
    "mint": _mint,
    "allow": partial(_change, "allow"),
    "stage": partial(_change, "stage"),
    "kill": _kill,
    "restore": partial(_change, "restore"),
    "unchanged": _unchanged,
    "census": _census,
    "evaluate": _evaluate,
    "session": _session,
    "call": _call,
    "audit": _audit,
}
