"""An import: a batch of member items, staged in pieces, then committed by one change.

Staged ids have no effect until the flag's document says at which revision the import took effect. While the import is
open, its tally is exact: the sum, over all staged ids, of what committing would do to each.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from headgate.core import limits
from headgate.core.audit import GENESIS
from headgate.core.changes.placement import inline, without
from headgate.core.changes.refusal import Refusal, Slug
from headgate.core.members import Member, MemberEvent, Standpoint, staged
from headgate.core.model import Flag, Json, LongList


class ImportState(StrEnum):
    """The state of an import."""

    OPEN = "open"
    COMMITTED = "committed"
    ABANDONED = "abandoned"


@dataclass(frozen=True, slots=True)
class Tally:
    """How many ids committing would add to the list and remove from it, and the same for its long part by kind."""

    added: int = 0
    removed: int = 0
    users_in: int = 0
    users_out: int = 0
    orgs_in: int = 0
    orgs_out: int = 0

    def plus(self, other: "Tally", times: int = 1) -> "Tally":
        """Return the sum of both; with `times` -1, the difference."""
        return Tally(*(getattr(self, name) + times * getattr(other, name) for name in Tally.__slots__))


def effect_on_list(member: Member, *, comes: bool | None, is_long: bool, is_in: bool) -> Tally:
    """What committing does to one id. `comes` is what the import staged for it; `is_in`, whether it is listed now."""
    if comes is None:
        return Tally()
    came, went = comes and not is_long, is_long and not comes
    by_kind = {f"{member[0]}s_in": int(came), f"{member[0]}s_out": int(went)}
    return Tally(added=int(comes and not is_in), removed=int(is_in and not comes), **by_kind)


@dataclass(frozen=True, slots=True)
class Import:
    """`staged` counts the ids so far, `digest` is their running digest, and `opened_at` is in Unix seconds.

    `kind` and `mode` are empty for the batch of an `allow` call that changes users and orgs, or adds and removes, at
    once.
    """

    id: str
    kind: str
    mode: str
    ordinal: int
    opened_at: int
    reason: str = ""
    version: int = 1
    state: ImportState = ImportState.OPEN
    staged: int = 0
    tally: Tally = field(default_factory=Tally)
    digest: str = GENESIS
    revision: int | None = None

    @property
    def is_open(self) -> bool:
        """Whether it can be staged, committed, or abandoned."""
        return self.state is ImportState.OPEN

    @property
    def document(self) -> dict[str, Json]:
        """The import as callers see it."""
        return {"id": self.id, "kind": self.kind, "mode": self.mode, "state": self.state.value, "staged": self.staged,
                "added": self.tally.added, "removed": self.tally.removed, "digest": self.digest,
                "revision": self.revision}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Switched:
    """The flag and the import after committing."""

    flag: Flag
    done: Import


def switch_on(
    flag: Flag, open_import: Import, histories: Mapping[Member, Iterable[MemberEvent]], revision: int
) -> Switched:
    """Commit the import at this revision. `histories` are those of everybody in the flag's inline part.

    The inline part may have been replaced since ids were staged, so the import's effect on it is counted again.
    """
    stand = Standpoint.of(flag)
    counted = replace(open_import.tally, added=open_import.tally.users_in + open_import.tally.orgs_in,
                      removed=open_import.tally.users_out + open_import.tally.orgs_out)  # fmt: skip
    gone = []
    for member in inline(flag.allow):
        events = tuple(histories.get(member, ()))
        comes, is_long = staged(events, open_import.ordinal), stand.holds(events)
        counted = counted.plus(effect_on_list(member, comes=comes, is_long=is_long, is_in=is_long), -1)
        counted = counted.plus(effect_on_list(member, comes=comes, is_long=is_long, is_in=True))
        if comes is False:
            gone.append(member)
    done = replace(open_import, state=ImportState.COMMITTED, tally=counted, revision=revision)
    held = flag.members or LongList()
    long = replace(
        held,
        users=held.users + counted.users_in - counted.users_out,
        orgs=held.orgs + counted.orgs_in - counted.orgs_out,
        imports=(*held.imports, (done.ordinal, revision)),
        changed=_changed(done),
    )
    return Switched(replace(flag, allow=without(flag.allow, gone), members=long), done)


def _changed(done: Import) -> dict[str, Json]:
    batch = {"id": done.id, "ordinal": done.ordinal, "kind": done.kind, "mode": done.mode, "count": done.staged,
             "digest": done.digest}  # fmt: skip
    return {"revision": done.revision, "added": done.tally.added, "removed": done.tally.removed, "import": batch}


def check_imports(flag: Flag) -> None:
    """Refuse an import beyond the flag's limit. Raises `Refusal`."""
    if flag.members is not None and len(flag.members.imports) >= limits.MAX_IMPORTS:
        raise Refusal(
            Slug.IMPORTS_SPENT,
            f"a flag accepts {limits.MAX_IMPORTS} imports; change at most {limits.MAX_SMALL} ids per call instead",
        )
