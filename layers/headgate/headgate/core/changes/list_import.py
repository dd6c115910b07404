"""An import: a batch of member items that is staged piece by piece, then switched on by one change.

What is staged counts for nothing until the flag's document says since which revision it counts. While it is open, its
counts are kept exact against what is in force: the sum, over all staged ids, of what switching on would do to each.
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
    """How far an import is."""

    OPEN = "open"
    COMMITTED = "committed"
    ABANDONED = "abandoned"


@dataclass(frozen=True, slots=True)
class Tally:
    """How many switching on would add to the list and remove from it, and the same of its long part by kind."""

    added: int = 0
    removed: int = 0
    users_in: int = 0
    users_out: int = 0
    orgs_in: int = 0
    orgs_out: int = 0

    def plus(self, other: "Tally", times: int = 1) -> "Tally":
        """Both together; or without the other, `times` being -1."""
        return Tally(*(getattr(self, name) + times * getattr(other, name) for name in Tally.__slots__))


def effect_on_list(member: Member, *, comes: bool | None, is_long: bool, is_in: bool) -> Tally:
    """What switching on does to one id; `comes` is what the import holds for it, `is_in` whether it is listed now."""
    if comes is None:
        return Tally()
    came, went = comes and not is_long, is_long and not comes
    by_kind = {f"{member[0]}s_in": int(came), f"{member[0]}s_out": int(went)}
    return Tally(added=int(comes and not is_in), removed=int(is_in and not comes), **by_kind)


@dataclass(frozen=True, slots=True)
class Import:
    """`staged` counts the ids so far, `digest` runs over them; `opened_at` is in Unix seconds.

    `kind` and `mode` are empty for a call that changes users and orgs, or adds and removes, at once.
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
        """Whether it can be staged, committed, abandoned."""
        return self.state is ImportState.OPEN

    @property
    def document(self) -> dict[str, Json]:
        """As callers see it."""
        return {"id": self.id, "kind": self.kind, "mode": self.mode, "state": self.state.value, "staged": self.staged,
                "added": self.tally.added, "removed": self.tally.removed, "digest": self.digest,
                "revision": self.revision}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Switched:
    """The flag and the import after switching on."""

    flag: Flag
    done: Import


def switch_on(
    flag: Flag, open_import: Import, histories: Mapping[Member, Iterable[MemberEvent]], revision: int
) -> Switched:
    """Let the import count from this revision. `histories` are those of everybody in the flag's inline part.

    The inline part may have been replaced since ids were staged, so that what the import does to it is counted anew.
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
            f"a flag takes {limits.MAX_IMPORTS} imports; changes of up to {limits.MAX_SMALL} ids still work",
        )
