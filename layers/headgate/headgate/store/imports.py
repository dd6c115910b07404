"""Imports of member items: at most one open per flag, staged in batches, without touching the head.

Each batch is one transaction: up to 96 member items and the import's own record, on the condition of its version. So an
import continues after a crash where it stopped, a batch that is sent twice is staged once, and small changes can be
made in the meantime.
"""

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace

from headgate.core import limits
from headgate.core.changes.list_import import Import, ImportState, Tally, effect_on_list
from headgate.core.changes.placement import is_inline
from headgate.core.changes.refusal import Refusal, Slug
from headgate.core.documents import Invalid, canonical
from headgate.core.members import Member, Standpoint, chained, staged
from headgate.core.model import Flag
from headgate.store.items import flag_in, flag_key, import_key, stored_at
from headgate.store.members import NO_ITEM, MemberItem, keys_of, read_held
from headgate.store.port import Item, Put, Table, Unavailable
from headgate.store.record import Answer, Call, Record

CALL = "call:"
"""Prefix of the ids of imports that an `allow` call opens. No caller can choose such an id."""
ABANDONED_AFTER = 60
"""Seconds after which an `allow` call's import may be replaced: API Gateway waits 30 s for a call, and a retry starts
again."""


Stand = tuple[int, Flag]
"""The ordinal of an open import, and the flag as read after it was opened."""

UNREADABLE_FLAG = ("$", "the stored flag cannot be read; replace the whole flag")


@dataclass(frozen=True, slots=True)
class StagedId:
    """One id of a batch: whether it is added or removed, and its line in the digest."""

    member: Member
    comes: bool
    line: str


def read_import(item: Item | None) -> Import | None:
    """Read an import's record. Raises `Unavailable` if it cannot be read."""
    if item is None:
        return None
    try:
        body = json.loads(str(item["body"]))
        made = Import(**{**body, "state": ImportState(body["state"]), "tally": Tally(**body["tally"])})
        return replace(made, version=int(item["version"]))
    except (KeyError, ValueError, TypeError, RecursionError):
        raise Unavailable("import") from None


def import_update(flag: str, before: Import, after: Import) -> Put:
    """Return the write of an import's next state, on the condition that it was not changed since it was read."""
    return Put(_item(flag, replace(after, version=before.version + 1)), equals=("version", before.version))


def _item(flag: str, made: Import, past: str | None = None) -> Item:
    pk, sk = import_key(flag, past)
    body = {name: value for name, value in asdict(made).items() if name != "version"}
    return {"pk": pk, "sk": sk, "version": made.version, "body": canonical(body)}


def current(table: Table, flag: str) -> Import | None:
    """The newest import of a flag, open or not."""
    return read_import(table.get((import_key(flag),)).get(import_key(flag)))


class Imports:
    """The imports of all flags. The budget of `record` limits each transaction with its retries."""

    def __init__(self, table: Table, record: Record, *, clock: Callable[[], float] = time.time) -> None:
        self._table, self._record, self._clock = table, record, clock

    def find(self, flag: str, name: str) -> Import | None:
        """Return the import with this id, open or past.

        The newest is read first: one read of both could miss an import that is being moved to the past ones.
        """
        newest = current(self._table, flag)
        if newest is not None and newest.id == name:
            return newest
        past = import_key(flag, name)
        return read_import(self._table.get((past,)).get(past))

    def open(self, flag: str, wanted: Import, call: Call) -> Answer:
        """Open an import, or return the one with this id. `wanted` has no ordinal yet. Raises `Refusal`."""
        return self._record.persist(self._open, flag, wanted, call)

    def _open(self, flag: str, wanted: Import, call: Call) -> Answer:
        answered = self._record.replay(call)
        if answered is not None:
            return answered
        held = self.find(flag, wanted.id)
        if held is not None and (held.kind, held.mode) != (wanted.kind, wanted.mode):
            raise Refusal(Slug.IMPORT_DIFFERS, f"it was opened with mode {held.mode} and kind {held.kind}")
        newest = current(self._table, flag)
        if held is None:
            _check_room(newest, self._clock())
        puts = [] if held is not None else opening(flag, newest, wanted)
        answer = Answer(200 if held is not None else 201, (held or opened(newest, wanted)).document)
        self._table.write([*puts, self._record.memory(call, answer)])
        return answer

    def begin(self, flag: str, wanted: Import) -> Import:
        """Open the import of an `allow` call, or continue it. Raises `Refusal`."""
        return self._record.persist(self._begin, flag, wanted)

    def _begin(self, flag: str, wanted: Import) -> Import:
        newest = current(self._table, flag)
        if newest is not None and newest.id == wanted.id and newest.is_open:
            return newest
        _check_room(newest, self._clock())
        self._table.write(opening(flag, newest, wanted))
        return opened(newest, wanted)

    def abandon(self, flag: str, name: str, call: Call | None) -> Answer:
        """Abandon an open import: what was staged never takes effect. Raises `Refusal`."""
        return self._record.persist(self._abandon, flag, name, call)

    def _abandon(self, flag: str, name: str, call: Call | None) -> Answer:
        answered = None if call is None else self._record.replay(call)
        if answered is not None:
            return answered
        held = self.find(flag, name)
        if held is None:
            raise Refusal(Slug.UNKNOWN_IMPORT)
        if held.state is ImportState.COMMITTED:
            raise Refusal(Slug.IMPORT_CLOSED, "it is committed; import its ids with the opposite mode to undo it")
        answer = Answer(204)
        puts = [import_update(flag, held, replace(held, state=ImportState.ABANDONED))] if held.is_open else []
        puts += [] if call is None else [self._record.memory(call, answer)]
        if puts:
            self._table.write(puts)
        return answer

    def stage(self, flag: str, name: str, at: int, steps: Sequence[StagedId], call: Call | None) -> Answer:
        """Stage the ids from offset `at` on. Those that are already staged are skipped.

        `call` is remembered with the answer. Raises `Refusal`, and `Unavailable`: what was staged by then stays.
        """
        batch = _Batch(self._table, self._record, flag, name, at, steps, call)
        begin = at
        stand: Stand | None = None
        while True:
            done = self._record.persist(batch.write, begin, stand)
            if isinstance(done, Answer):
                return done
            begin, stand = done


@dataclass(frozen=True, slots=True)
class _Batch:
    """The ids of one call that stages, one transaction at a time."""

    table: Table
    record: Record
    flag: str
    name: str
    at: int
    steps: Sequence[StagedId]
    call: Call | None

    def write(self, begin: int, stand: Stand | None) -> Answer | tuple[int, Stand]:
        """Stage what follows `begin` if the import is exactly there. Otherwise return where it is.

        The flag is read after the import was seen open, so it names every import committed before: no event of one of
        these is dropped as abandoned.
        """
        part = self.steps[begin - self.at : begin - self.at + limits.MAX_STAGED]
        keys = keys_of(self.flag, [step.member for step in part])
        items = self.table.get((import_key(self.flag), *keys.values()))
        held = read_import(items.get(import_key(self.flag)))
        if held is None or held.id != self.name or not held.is_open:
            raise Refusal(Slug.IMPORT_CLOSED, "it is no longer open; open a new one")
        if held.staged < self.at:
            detail = f"{held.staged} ids are staged; continue after them"
            raise Refusal(Slug.IMPORT_DIFFERS, detail, members={"staged": held.staged})
        seen = stand[1] if stand is not None and stand[0] == held.ordinal else None
        flag = seen or flag_in(stored_at(self.table, flag_key(self.flag)), self.flag)
        if flag is None:
            raise Refusal(Slug.UNKNOWN_FLAG)
        if flag.quarantined:
            raise Invalid([UNREADABLE_FLAG])
        end = self.at + len(self.steps)
        if held.staged >= end:
            return self._answer(held, [])
        if held.staged != begin:
            return held.staged, (held.ordinal, flag)
        after, puts = self._staged(held, flag, part, {m: read_held(items.get(key)) for m, key in keys.items()})
        puts.append(import_update(self.flag, held, after))
        if after.staged == end:
            return self._answer(after, puts)
        self.table.write(puts)
        return after.staged, (held.ordinal, flag)

    def _answer(self, held: Import, puts: list[Put]) -> Answer:
        answer = Answer(200, held.document)
        if self.call is not None:
            answered = self.record.replay(self.call)
            if answered is not None:
                return answered
            puts.append(self.record.memory(self.call, answer))
        if puts:
            self.table.write(puts)
        return answer

    def _staged(
        self, held: Import, flag: Flag, part: Sequence[StagedId], members: dict[Member, MemberItem]
    ) -> tuple[Import, list[Put]]:
        stand, tally, puts = Standpoint.of(flag, now=True), held.tally, []
        for step in part:
            was = members.get(step.member, NO_ITEM)
            if staged(was.events, held.ordinal) is not None:  # already staged in this import
                continue
            events = (*stand.kept(was.events, held.ordinal), (f"{held.ordinal}", step.comes))
            puts.append(was.put(self.flag, step.member, events))
            is_long = stand.holds(was.events)
            is_in = is_long or is_inline(flag.allow, step.member)
            tally = tally.plus(effect_on_list(step.member, comes=step.comes, is_long=is_long, is_in=is_in))
        lines = (step.line for step in part)
        return replace(held, staged=held.staged + len(part), tally=tally, digest=chained(held.digest, lines)), puts


def opened(newest: Import | None, wanted: Import) -> Import:
    """The import as it will be opened after the newest. No ordinal is used twice."""
    return replace(wanted, ordinal=1 if newest is None else newest.ordinal + 1)


def opening(flag: str, newest: Import | None, wanted: Import) -> list[Put]:
    """Return the writes that open an import. The newest so far, if any, is moved to the past ones."""
    made = opened(newest, wanted)
    if newest is None:
        return [Put(_item(flag, made), absent=True)]
    state = ImportState.ABANDONED if newest.is_open else newest.state
    return [import_update(flag, newest, made), Put(_item(flag, replace(newest, state=state), newest.id))]


def _check_room(newest: Import | None, now: float) -> None:
    """Refuse a second open import of one flag. Raises `Refusal`."""
    if newest is None or not newest.is_open:
        return
    if newest.id.startswith(CALL) and now - newest.opened_at > ABANDONED_AFTER:
        return
    detail = f"{newest.id} is open; commit or abandon it first"
    raise Refusal(Slug.IMPORT_OPEN, detail, members={"import": newest.id})
