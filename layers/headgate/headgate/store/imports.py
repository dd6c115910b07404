"""Imports of member items: one open at most for a flag, staged batch by batch, never touching the head.

Each batch is one transaction: up to 96 member items and the import's own record, on its version. So it goes on after
a crash where it stopped, a batch that is sent twice is staged once, and small changes go on beside it.
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
"""Begins the id of a batch that is one call of `allow`; no caller can choose such an id."""
ABANDONED_AFTER = 60
"""Seconds after which a call's batch makes room: API Gateway waits 30 s for a call, and a repeated one begins anew."""


Stand = tuple[int, Flag]
"""The ordinal of an open import, and the flag as it was read since that was opened."""

UNREADABLE_FLAG = ("$", "the stored flag cannot be read; replace the whole flag")


@dataclass(frozen=True, slots=True)
class StagedId:
    """One id of a batch: whether it comes or goes, and the line of it that the digest runs over."""

    member: Member
    comes: bool
    line: str


def read_import(item: Item | None) -> Import | None:
    """An import's record. One that cannot be read is no answer: raises `Unavailable`."""
    if item is None:
        return None
    try:
        body = json.loads(str(item["body"]))
        made = Import(**{**body, "state": ImportState(body["state"]), "tally": Tally(**body["tally"])})
        return replace(made, version=int(item["version"]))
    except (KeyError, ValueError, TypeError, RecursionError):
        raise Unavailable("import") from None


def import_update(flag: str, before: Import, after: Import) -> Put:
    """The write of the newest import's next state, as long as it is as it was read."""
    return Put(_item(flag, replace(after, version=before.version + 1)), equals=("version", before.version))


def _item(flag: str, made: Import, past: str | None = None) -> Item:
    pk, sk = import_key(flag, past)
    body = {name: value for name, value in asdict(made).items() if name != "version"}
    return {"pk": pk, "sk": sk, "version": made.version, "body": canonical(body)}


def current(table: Table, flag: str) -> Import | None:
    """The newest import of a flag, open or not."""
    return read_import(table.get((import_key(flag),)).get(import_key(flag)))


class Imports:
    """The imports of all flags. `budget` of `record` bounds each transaction with its retries."""

    def __init__(self, table: Table, record: Record, *, clock: Callable[[], float] = time.time) -> None:
        self._table, self._record, self._clock = table, record, clock

    def find(self, flag: str, name: str) -> Import | None:
        """The import of this id, open or past. The newest is read first: read together, one put away may be missed."""
        newest = current(self._table, flag)
        if newest is not None and newest.id == name:
            return newest
        past = import_key(flag, name)
        return read_import(self._table.get((past,)).get(past))

    def open(self, flag: str, wanted: Import, call: Call) -> Answer:
        """Open an import, or answer with the one of this id; `wanted` has no ordinal yet. Raises `Refusal`."""
        return self._record.persist(self._open, flag, wanted, call)

    def _open(self, flag: str, wanted: Import, call: Call) -> Answer:
        answered = self._record.replay(call)
        if answered is not None:
            return answered
        held = self.find(flag, wanted.id)
        if held is not None and (held.kind, held.mode) != (wanted.kind, wanted.mode):
            raise Refusal(Slug.IMPORT_DIFFERS, f"it was opened to {held.mode} members of kind {held.kind}")
        newest = current(self._table, flag)
        if held is None:
            _check_room(newest, self._clock())
        puts = [] if held is not None else opening(flag, newest, wanted)
        answer = Answer(200 if held is not None else 201, (held or opened(newest, wanted)).document)
        self._table.write([*puts, self._record.memory(call, answer)])
        return answer

    def begin(self, flag: str, wanted: Import) -> Import:
        """Open the batch of one call, or go on with it. Raises `Refusal`."""
        return self._record.persist(self._begin, flag, wanted)

    def _begin(self, flag: str, wanted: Import) -> Import:
        newest = current(self._table, flag)
        if newest is not None and newest.id == wanted.id and newest.is_open:
            return newest
        _check_room(newest, self._clock())
        self._table.write(opening(flag, newest, wanted))
        return opened(newest, wanted)

    def abandon(self, flag: str, name: str, call: Call | None) -> Answer:
        """Abandon an open import: what was staged never counts. Raises `Refusal`."""
        return self._record.persist(self._abandon, flag, name, call)

    def _abandon(self, flag: str, name: str, call: Call | None) -> Answer:
        answered = None if call is None else self._record.replay(call)
        if answered is not None:
            return answered
        held = self.find(flag, name)
        if held is None:
            raise Refusal(Slug.UNKNOWN_IMPORT)
        if held.state is ImportState.COMMITTED:
            raise Refusal(Slug.IMPORT_CLOSED, "it is committed; an import the other way takes its members back")
        answer = Answer(204)
        puts = [import_update(flag, held, replace(held, state=ImportState.ABANDONED))] if held.is_open else []
        puts += [] if call is None else [self._record.memory(call, answer)]
        if puts:
            self._table.write(puts)
        return answer

    def stage(self, flag: str, name: str, at: int, steps: Sequence[StagedId], call: Call | None) -> Answer:
        """Stage the ids from offset `at` on; those that are staged already are skipped.

        `call` is remembered with the answer. Raises `Refusal`, and `Unavailable`: whatever was staged by then stays.
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
    """One transaction of a call that stages."""

    table: Table
    record: Record
    flag: str
    name: str
    at: int
    steps: Sequence[StagedId]
    call: Call | None

    def write(self, begin: int, stand: Stand | None) -> Answer | tuple[int, Stand]:
        """Stage what follows `begin`, if the import is just there; else where it is.

        The flag is read once the import was seen open: then it tells of every import that was switched on before, and
        no event of one of these is dropped as abandoned.
        """
        part = self.steps[begin - self.at : begin - self.at + limits.MAX_STAGED]
        keys = keys_of(self.flag, [step.member for step in part])
        items = self.table.get((import_key(self.flag), *keys.values()))
        held = read_import(items.get(import_key(self.flag)))
        if held is None or held.id != self.name or not held.is_open:
            raise Refusal(Slug.IMPORT_CLOSED, "it is not open any more")
        if held.staged < self.at:
            raise Refusal(Slug.IMPORT_DIFFERS, f"{held.staged} ids are staged", members={"staged": held.staged})
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
            if staged(was.events, held.ordinal) is not None:  # an id that was named before in this import
                continue
            events = (*stand.kept(was.events, held.ordinal), (f"{held.ordinal}", step.comes))
            puts.append(was.put(self.flag, step.member, events))
            is_long = stand.holds(was.events)
            is_in = is_long or is_inline(flag.allow, step.member)
            tally = tally.plus(effect_on_list(step.member, comes=step.comes, is_long=is_long, is_in=is_in))
        lines = (step.line for step in part)
        return replace(held, staged=held.staged + len(part), tally=tally, digest=chained(held.digest, lines)), puts


def opened(newest: Import | None, wanted: Import) -> Import:
    """The import as it will be opened after the newest: an ordinal is never used twice."""
    return replace(wanted, ordinal=1 if newest is None else newest.ordinal + 1)


def opening(flag: str, newest: Import | None, wanted: Import) -> list[Put]:
    """The writes that open it; the newest so far, if any, is put away under its id."""
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
    raise Refusal(Slug.IMPORT_OPEN, f"{newest.id} is open for this flag", members={"import": newest.id})
