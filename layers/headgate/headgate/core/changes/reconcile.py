"""Compare the stored records with the audit stream, for a table that was restored to a point in time.

A transaction writes record, entry, and head together, and a restore may bring back only some of them. The ledger
follows the stream, then reports each disagreement with the stored records and the head. It assumes that its input is
one moment of the table: a caller that reads while changes are made must look more than once.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Protocol

from headgate.core.audit import GENESIS, Entry, follows, is_sealed
from headgate.core.documents import canonical
from headgate.core.flag import read_flag
from headgate.core.model import Json


class What(StrEnum):
    """How a part of a transaction can disagree with the others."""

    ENTRY_MISSING = "entry-missing"
    CHAIN_BROKEN = "chain-broken"
    HEAD_BEHIND = "head-behind"
    HEAD_AHEAD = "head-ahead"
    HEAD_DIFFERS = "head-differs"
    KILL_DIFFERS = "kill-differs"
    STATE_MISSING = "state-missing"
    STATE_OLDER = "state-older"
    STATE_NEWER = "state-newer"
    STATE_DIFFERS = "state-differs"
    STATE_UNRECORDED = "state-unrecorded"
    SESSION_LIVES = "session-lives"
    SESSION_ENDED = "session-ended"
    IMPORT_DIFFERS = "import-differs"


@dataclass(frozen=True, slots=True)
class Finding:
    """One disagreement. `record` is the stored record, `revision` the entry that it is about."""

    what: What
    record: str
    flag: str | None = None
    revision: int | None = None
    stored_version: int | None = None
    recorded_version: int | None = None


@dataclass(frozen=True, slots=True)
class StoredState:
    """A record, as stored or as in an entry. `version` is None only where the entry does not give it."""

    version: int | None
    document: Json
    retired: bool = False


class _Head(Protocol):
    """The head as read."""

    @property
    def revision(self) -> int:
        """The revision of the newest entry."""

    @property
    def digest(self) -> str:
        """The digest of the newest entry."""

    @property
    def killed(self) -> Mapping[str, Any]:
        """Reach by killed flag."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """What the stream says about one record: the newest entry about it, and the state after it."""

    revision: int
    state: StoredState
    expires: int | None


@dataclass(slots=True)
class Ledger:
    """What the stream says. `place` returns the record that an entry is about, or None."""

    place: Callable[[Entry], str | None]
    revision: int = 0
    digest: str = GENESIS
    records: dict[str, Recorded] = field(default_factory=dict)
    killed: dict[str, Any] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

    def follow(self, entries: Iterable[Entry]) -> None:
        """Add entries, in the order in which they are stored."""
        for entry in entries:
            expected, revision = self.revision + 1, entry.get("revision")
            if type(revision) is not int or revision < expected:
                self.findings.append(Finding(What.CHAIN_BROKEN, "audit", revision=expected))
                continue
            if not follows(entry, self.revision):
                self.findings.append(Finding(What.ENTRY_MISSING, "audit", revision=expected))
            elif entry.get("prev") != self.digest or not is_sealed(entry):
                self.findings.append(Finding(What.CHAIN_BROKEN, "audit", revision=revision))
            self.revision, self.digest = revision, str(entry.get("digest"))
            self._record(entry, revision)

    def _record(self, entry: Entry, revision: int) -> None:
        name = self.place(entry)
        if name is None:
            return
        before, after = self.records.get(name), entry.get("after")
        state = StoredState(_version(name, entry, before), after, after is None)
        expires = after.get("expires") if isinstance(after, dict) else None
        self.records[name] = Recorded(revision, state, expires if type(expires) is int else None)
        flag = flag_of(name)
        if flag is not None:
            self.killed.pop(flag, None)
            kill = after.get("killed") if isinstance(after, dict) else None
            self.killed |= {flag: kill.get("reach")} if isinstance(kill, dict) else {}

    def compare(self, held: Mapping[str, StoredState], head: _Head, now: float) -> Iterator[Finding]:
        """Yield each disagreement with what is stored. A record that expired by `now` (Unix seconds) may be missing."""
        yield from self.findings
        yield from self._compare_head(head)
        for name in sorted(self.records.keys() | held.keys()):
            recorded, stored = self.records.get(name), held.get(name)
            if recorded is None:
                version = None if stored is None else stored.version
                yield Finding(What.STATE_UNRECORDED, name, flag_of(name), stored_version=version)
            elif not _agrees(name, recorded, stored, now):
                yield _disagreement(name, recorded, stored)

    def _compare_head(self, head: _Head) -> Iterator[Finding]:
        if head.revision < self.revision:
            yield Finding(What.HEAD_BEHIND, "head", revision=head.revision)
        elif head.revision > self.revision:
            yield Finding(What.HEAD_AHEAD, "head", revision=head.revision)
        elif head.digest != self.digest:
            yield Finding(What.HEAD_DIFFERS, "head", revision=head.revision)
        for flag in sorted(head.killed.keys() | self.killed.keys()):
            if head.killed.get(flag) != self.killed.get(flag):
                yield Finding(What.KILL_DIFFERS, "head", flag, head.revision)


def flag_of(name: str) -> str | None:
    """The flag whose record this is, or None."""
    subject, _, key = name.partition("#")
    return key if subject == "flag" else None


def _version(name: str, entry: Entry, before: Recorded | None) -> int | None:
    """The version that the entry's transaction gave the record. Denials do not store one, so it is counted."""
    after = entry.get("after")
    if not isinstance(after, dict):
        return None
    if not name.startswith("deny#"):
        version = after.get("version")
        return version if type(version) is int else None
    if entry.get("before") is None:  # the first, or the first after the previous one expired
        return 1
    return None if before is None or before.state.version is None else before.state.version + 1


def _agrees(name: str, recorded: Recorded, stored: StoredState | None, now: float) -> bool:
    if stored is None:
        return recorded.expires is not None and recorded.expires <= now
    if _is_same(recorded.state, stored):
        return True
    # killing an unreadable flag leaves its document unchanged, including the version in it
    flag, unnumbered = flag_of(name), replace(recorded.state, version=None)
    return flag is not None and _is_same(unnumbered, stored) and read_flag(flag, stored.document).quarantined


def _is_same(state: StoredState, stored: StoredState) -> bool:
    if state.retired != stored.retired or state.version not in (None, stored.version):
        return False
    try:
        return canonical(state.document) == canonical(stored.document)
    except (ValueError, RecursionError):
        return False


def _disagreement(name: str, recorded: Recorded, stored: StoredState | None) -> Finding:
    version, held = recorded.state.version, None if stored is None else stored.version
    if stored is None:
        what = What.STATE_MISSING
    elif version is not None and held is not None and held != version:
        what = What.STATE_OLDER if held < version else What.STATE_NEWER
    else:
        what = What.STATE_DIFFERS
    return Finding(what, name, flag_of(name), recorded.revision, held, version)
