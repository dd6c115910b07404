"""Lists of a million ids: `python tests/bench/bench_members.py`. The cost of staging, and of a decision after it.

One list grows by imports through the admin function's own code, on the reference table in memory, to 10, 1,000, 100,000
and 1,000,000 entries. At each size: the reads and the time of one more decision. Processor time, to exclude other load
on the core; DynamoDB's time is not included, its calls are counted. Needs about 1 GB of memory and a minute.

Bars: one read for a new subject, none after it; neither the flag, nor the rules that
each environment holds, nor the time of a decision grows with the list.
"""

import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from itertools import count
from pathlib import Path
from statistics import median
from typing import Any

sys.path.append(str(Path(__file__).parents[1] / "support"))

from desk import quiet
from fake_clock import FakeClock
from members_desk import MembersDesk, digest_of
from reference_table import ReferenceTable

from headgate.core.decision import decide
from headgate.core.model import Subject
from headgate.store.port import Item, Key, Put
from headgate.store.snapshots import Snapshots, View

SIZES = (10, 1_000, 100_000, 1_000_000)
INLINE = 1_000
ROUNDS, AT_ONCE, AGAIN = 201, 10, 20
GROWTH = 2.0
"""The allowed ratio of a first lookup at a million entries to one at ten: the CPU cache misses of a bigger dict."""


class Table(ReferenceTable):
    """The reference table, which counts calls instead of recording them."""

    reads = items_read = writes = items_written = 0

    def get(self, keys: Sequence[Key], *, spent: float = 0.0) -> dict[Key, Item]:
        """Counted."""
        self.reads, self.items_read = self.reads + 1, self.items_read + len(keys)
        return super().get(keys, spent=spent)

    def write(self, puts: Sequence[Put]) -> None:
        """Counted."""
        super().write(puts)
        self.writes, self.items_written = self.writes + 1, self.items_written + len(puts)
        self.calls.clear()
        self._past.clear()


class Stage:
    """A growing list, and an environment that decides by it."""

    def __init__(self) -> None:
        self.table, self.clock, self.size = Table(), FakeClock(), 0
        self.desk = MembersDesk(self.table, self.clock, key="long", inline=0)
        short = MembersDesk(self.table, self.clock, key="inline", inline=INLINE)
        with quiet():
            self.desk.creates()
            short.creates(allow={"users": [name(number) for number in range(INLINE)]})
        self.numbers = count()

    def grow(self, size: int) -> float:
        """Import the missing ids; return processor seconds."""
        ids = [name(number) for number in range(self.size, size)]
        digest = digest_of(ids)
        begin = time.process_time()
        self.desk.opens(f"to-{size}")
        for at in range(0, len(ids), 1_000):
            assert self.desk.stages(f"to-{size}", ids[at : at + 1_000], at).body["staged"] == min(at + 1_000, len(ids))
        done = self.desk.does(
            "POST /admin/v1/flags/{key}/imports/{import}/commit",
            {"count": len(ids), "digest": digest, "reason": "a benchmark"}, name=f"to-{size}",
        )  # fmt: skip
        took = time.process_time() - begin
        assert done.body["added"] == len(ids), done
        self.size = size
        return took

    def environment(self) -> tuple[Snapshots, View]:
        """An execution environment that has just loaded the rules."""
        snapshots = Snapshots(self.table, clock=self.clock)
        return snapshots, snapshots.live()

    def listed(self) -> list[Subject]:
        """A sample of listed ids, from anywhere in the list."""
        first = next(self.numbers) * AT_ONCE
        return [Subject(name((first + number) * 7_919 % self.size)) for number in range(AT_ONCE)]

    def strangers(self) -> list[Subject]:
        """Ids that are not listed and were never decided."""
        return [Subject(f"stranger-{next(self.numbers)}") for _ in range(AT_ONCE)]


def name(number: int) -> str:
    """An id as identity providers create them."""
    return f"auth0|{number * 2_654_435_761 % 2**32:08x}{number:08x}"


def nanoseconds(call: Callable[[Subject], object], subjects: Sequence[Subject], times: int = 1) -> float:
    """The processor time of one call."""
    begin = time.thread_time_ns()
    for _ in range(times):
        for subject in subjects:
            call(subject)
    return (time.thread_time_ns() - begin) / len(subjects) / times


def decision(snapshots: Snapshots, view: View, key: str, subject: Subject) -> bool:
    """As mint, evaluate, and authorizer do it: look up the subject's lists, then decide."""
    found = snapshots.with_lists(view, subject, (key,)).subject
    return decide(view.snapshot.rules, key, found).value


def measured(stage: Stage) -> dict[str, float]:
    """The time and the reads of decisions now. Each round has its own cold environment."""
    rounds: dict[str, list[float]] = {"listed": [], "strangers": [], "again": [], "inline": []}
    reads: list[int] = []
    for _ in range(ROUNDS):
        snapshots, view = stage.environment()
        ask = partial(decision, snapshots, view, "long")
        for who, subjects in (("listed", stage.listed()), ("strangers", stage.strangers())):
            before = stage.table.reads
            rounds[who].append(nanoseconds(ask, subjects))
            reads.append(stage.table.reads - before)
            rounds["again"].append(nanoseconds(ask, subjects, AGAIN))
            assert stage.table.reads - before == reads[-1], "a second look reads"
        rounds["inline"].append(nanoseconds(partial(decision, snapshots, view, "inline"), stage.strangers(), AGAIN))
    return {**{case: median(times) for case, times in rounds.items()}, "reads": max(reads) / AT_ONCE}


def right(stage: Stage) -> None:
    """Check that the answers match the list."""
    snapshots, view = stage.environment()
    for number in (0, stage.size // 2, stage.size - 1):
        assert decision(snapshots, view, "long", Subject(name(number)))
    for number in (stage.size, 10 * stage.size):
        assert not decision(snapshots, view, "long", Subject(name(number)))


def sizes(stage: Stage) -> dict[str, int]:
    """Bytes of the flag as stored, and of all rules that an environment loads."""
    rules = {sk: len(str(item["body"])) for sk, item in stage.table.partition("rules").items()}
    return {"flag": rules["flag#long"], "rules": sum(rules.values())}


def row(*cells: Any) -> None:
    """One row of a table in Markdown."""
    print("| " + " | ".join(str(cell) for cell in cells) + " |")


def main() -> int:
    """Print the tables; return 1 if a bar is missed."""
    stage, found = Stage(), {}
    staging: list[float] = []
    for size in SIZES:
        before, missing = (stage.table.writes, stage.table.items_written), size - stage.size
        with quiet():
            took = stage.grow(size)
            right(stage)
            found[size] = {**measured(stage), **sizes(stage)}
        writes, items = stage.table.writes - before[0], stage.table.items_written - before[1]
        staging = [missing, missing / took, 1_000 * writes / missing, items / missing]
    row("entries", "listed: first look, µs", "stranger: first look, µs", "reads", "again, µs",
        "list of 1,000 inline, µs", "flag, bytes", "rules, bytes")  # fmt: skip
    row(*["--:"] * 8)
    for size, one in found.items():
        times = [f"{one[case] / 1_000:.2f}" for case in ("listed", "strangers", "again", "inline")]
        row(f"{size:,}", *times[:2], one["reads"], *times[2:], f"{one['flag']:,}", f"{one['rules']:,}")
    print(f"\nthe last {staging[0]:,.0f} ids: {staging[1]:,.0f} a second of the function's processor time, "
          f"{staging[2]:.1f} transactions for 1,000, {staging[3]:.2f} items written for each")  # fmt: skip
    small, large = found[SIZES[0]], found[SIZES[-1]]
    bars = {
        "one read at the first look": all(one["reads"] == 1 for one in found.values()),
        "the first look does not grow": large["listed"] < GROWTH * small["listed"],
        "what is kept does not grow": large["again"] < GROWTH * small["again"],
        "the flag does not grow": large["flag"] < small["flag"] + 200,
    }
    print("\n" + "\n".join(f"{bar}: {'met' if met else 'MISSED'}" for bar, met in bars.items()))
    return 0 if all(bars.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
