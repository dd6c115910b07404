"""The only way to change anything: one read, then one transaction of record, audit entry, head, and idempotency record.

No state exists without its entry, and no entry without its state. A plan makes the change, or refuses it, on what is
stored at that moment. After a lost race it is called again, with full jitter, within a time budget. The idempotency
record, which every change writes, resolves an ambiguous outcome (a timeout after the commit).
"""

import itertools
import json
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ParamSpec, TypeVar

from headgate.core.audit import sealed
from headgate.core.changes.flag import Stamp
from headgate.core.changes.refusal import Refusal, Slug
from headgate.core.documents import Invalid, rfc3339
from headgate.core.model import Json
from headgate.core.snapshot import Snapshot
from headgate.store.items import HEAD_KEY, Head, Stored, entry_item, head_item, read_head, read_stored, stored_item
from headgate.store.port import ConditionFailed, Contended, InvalidWrite, Item, Key, Put, Table, Throttled, Unavailable

P = ParamSpec("P")
_T = TypeVar("_T")
IDEMPOTENCY_LIFE = 86_400
"""Seconds that an answer is kept for retried requests."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The response, now and on every retry. `version` becomes the ETag."""

    status: int
    body: Json = None
    version: int | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """What a plan wants to write. `after` is None for a deletion; `version` is the record's.

    DynamoDB may remove the record after `expires`. `also` are further writes of the same transaction. With `confirms`,
    the head then says that the table is at home.
    """

    action: str
    version: int
    before: Json
    after: Json
    answer: Answer
    flag: str | None = None
    expires: int | None = None
    also: tuple[Put, ...] = ()
    confirms: bool = False


@dataclass(frozen=True, slots=True)
class Actor:
    """The caller, as verified by API Gateway."""

    arn: str
    session: str
    source_ip: str


@dataclass(frozen=True, slots=True)
class Call:
    """What all changes of one request share. `caller`, `key`, and `fingerprint` make its idempotency record."""

    actor: Actor
    reason: str
    request_id: str
    caller: str
    key: str
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Current:
    """What a plan sees: the record, the stamp of the coming change, and the rules if it asked for them."""

    stored: Stored | None
    stamp: Stamp
    snapshot: Snapshot | None = None

    @property
    def version(self) -> int:
        """The stored version; 0 if there is no record."""
        return 0 if self.stored is None else self.stored.version

    @property
    def document(self) -> Json:
        """The stored document; None if there is none."""
        return None if self.stored is None else self.stored.document


Plan = Callable[[Current], Change]
"""Returns the change. Raises `Refusal` or `Invalid` if it may not be made."""


class Record:
    """`budget` is in seconds and limits all attempts of one change together."""

    def __init__(
        self, table: Table, *, budget: float = 5.0, clock: Callable[[], float] = time.time,
        pause: Callable[[float], None] = time.sleep, jitter: Callable[[], float] = random.random,
    ) -> None:  # fmt: skip
        self._table, self._budget, self._clock, self._pause, self._jitter = table, budget, clock, pause, jitter

    def replay(self, call: Call) -> Answer | None:
        """Return the stored answer if this call was made before. Raises `Refusal` if its key was used otherwise."""
        return _replayed(self._table.get((_idem_key(call),)).get(_idem_key(call)), call, self._clock())

    def remember(self, call: Call, answer: Answer) -> Answer:
        """Store the answer to a call that had nothing to change."""
        return self.persist(self._remember, call, answer)

    def _remember(self, call: Call, answer: Answer) -> Answer:
        answered = self.replay(call)
        if answered is None:
            self._table.write([self.memory(call, answer)])
        return answered or answer

    def memory(self, call: Call, answer: Answer) -> Put:
        """Return the write of an answer's idempotency record, for transactions that do not change the rules."""
        now = int(self._clock())
        return Put(_idem_item(call, answer, now), expired=now)

    def change(
        self, target: Key, plan: Plan, call: Call, *, rules: Callable[[], Snapshot] | None = None, above: int = 0
    ) -> Answer:
        """Plan and commit. `rules` is called if the plan depends on other flags; the commit checks their revision.

        The new revision is above `above`, too; only entries of `core.audit.RESTORES` may skip revisions.

        Raises what the plan raises, `Refusal` if other changes kept coming first, and `Unavailable` if the table does
        not answer within the budget. Then the change may or may not have been made; a retry tells.
        """
        return self.persist(self._attempt, target, plan, call, rules, above)

    def persist(self, attempt: Callable[P, _T], *args: P.args, **kwargs: P.kwargs) -> _T:
        """Call `attempt` until it succeeds or the budget is spent: it may lose races. Raises as `change` does."""
        deadline = self._clock() + self._budget
        unanswered: Unavailable | None = None
        for count in itertools.count():
            try:
                return attempt(*args, **kwargs)
            except InvalidWrite:
                raise
            except Unavailable as failure:
                unanswered = failure
            except (ConditionFailed, Contended, Throttled):
                pass
            wait = self._jitter() * min(0.02 * 2**count, 0.5)
            if self._clock() + wait > deadline:
                break
            self._pause(wait)
        if unanswered is not None:  # an unanswered write may have been made: "nothing was changed" would be a guess
            raise unanswered
        raise Refusal(Slug.BUSY, "nothing was changed; retry with the same Idempotency-Key")

    def _attempt(self, target: Key, plan: Plan, call: Call, rules: Callable[[], Snapshot] | None, above: int) -> Answer:
        snapshot = rules() if rules else None
        found = self._table.get((HEAD_KEY, target, _idem_key(call)))
        now = self._clock()
        answered = _replayed(found.get(_idem_key(call)), call, now)
        if answered is not None:
            return answered
        head = read_head(found.get(HEAD_KEY))
        if snapshot is not None and snapshot.revision != head.revision:
            raise ConditionFailed
        stored = read_stored(found[target]) if target in found else None
        stamp = Stamp(max(head.revision, above) + 1, rfc3339(now), call.actor.arn)
        try:
            change = plan(Current(stored, stamp, snapshot))
        except (Refusal, Invalid):
            # The read is not a snapshot: it may show what an earlier attempt of this call wrote, but not its answer.
            answered = self.replay(call)
            if answered is None:
                raise
            return answered
        home = self._table.home if change.confirms or head.revision == 0 else head.home
        self._table.write(_transaction(target, stored, head, home, change, call, stamp, int(now)))
        return change.answer


def _transaction(
    target: Key, stored: Stored | None, head: Head, home: str, change: Change, call: Call, stamp: Stamp, now: int
) -> list[Put]:
    actor = {"arn": call.actor.arn, "session": call.actor.session, "source_ip": call.actor.source_ip}
    entry = sealed({
        "revision": stamp.revision, "at": stamp.at, "actor": actor, "action": change.action, "flag": change.flag,
        "before": change.before, "after": change.after, "reason": call.reason, "request_id": call.request_id,
        "prev": head.digest,
    })  # fmt: skip
    record = stored_item(target, change.version, change.after, change.expires)
    newer = Head(stamp.revision, entry["digest"], _killed(head, change), home)
    first = head.revision == 0
    return [
        Put(record, absent=stored is None, equals=None if stored is None else ("version", stored.version)),
        Put(entry_item(entry), absent=True),
        Put(head_item(newer), absent=first, equals=None if first else ("revision", head.revision)),
        Put(_idem_item(call, change.answer, now), expired=now),
        *change.also,
    ]


def _killed(head: Head, change: Change) -> Mapping[str, str]:
    if change.flag is None:
        return head.killed
    others = {key: reach for key, reach in head.killed.items() if key != change.flag}
    kill = change.after.get("killed") if isinstance(change.after, dict) else None
    return others | ({change.flag: kill["reach"]} if kill else {})


def _idem_key(call: Call) -> Key:
    return f"idem#{call.caller}", call.key


def _idem_item(call: Call, answer: Answer, now: int) -> Item:
    pk, sk = _idem_key(call)
    kept: dict[str, Any] = {"status": answer.status, "body": answer.body, "version": answer.version}
    return {"pk": pk, "sk": sk, "fingerprint": call.fingerprint, "answer": json.dumps(kept, separators=(",", ":")),
            "expires": now + IDEMPOTENCY_LIFE}  # fmt: skip


def _replayed(item: Item | None, call: Call, now: float) -> Answer | None:
    if item is None or int(item["expires"]) <= now:
        return None
    if item["fingerprint"] != call.fingerprint:
        raise Refusal(Slug.KEY_REUSED, "use a new Idempotency-Key for each change")
    kept = json.loads(str(item["answer"]))
    return Answer(kept["status"], kept["body"], kept["version"])
