"""Long lists by random histories of small changes, imports, and abandoned imports, compared with a plain set.

Whatever was written later, the flag's document at a revision says who was on the list then; all counts are exact.
"""

from dataclasses import dataclass, field, replace
from random import Random

import pytest
from proofs import many
from rule_changes import alone

from headgate.core.allow import LOST_LIST
from headgate.core.audit import GENESIS
from headgate.core.changes.list_import import Import, effect_on_list, switch_on
from headgate.core.changes.placement import inline, is_inline, place, with_moved
from headgate.core.changes.shrink import losses
from headgate.core.flag import flag_document, load_flag, read_flag
from headgate.core.members import Member, MemberEvent, Standpoint, chained, staged
from headgate.core.model import Flag, Stage

SEEDS = many(250)
PEOPLE: list[Member] = [(kind, f"{kind[0]}{n}") for kind in ("user", "org") for n in range(12)]


@dataclass
class ListHistory:
    """A flag, its members' events, at most one open import; `truth` is the list at each revision."""

    source: Random
    most: int
    flag: Flag = field(default_factory=lambda: Flag("f", "s", stage=Stage.ALLOWLIST, revision=1))
    events: dict[Member, tuple[MemberEvent, ...]] = field(default_factory=dict)
    open: Import | None = None
    wanted: dict[Member, bool] = field(default_factory=dict)
    ordinal: int = 0
    documents: dict[int, Flag] = field(default_factory=dict)
    truth: dict[int, frozenset[Member]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.remember(frozenset())

    @property
    def listed(self) -> frozenset[Member]:
        return self.truth[self.flag.revision]

    def remember(self, listed: frozenset[Member]) -> None:
        """Record the list at this revision; the stored flag reads back equal."""
        document = {**flag_document(self.flag), "updated_at": "", "updated_by": ""}
        assert load_flag(document) == self.flag
        self.documents[self.flag.revision], self.truth[self.flag.revision] = self.flag, listed

    def some(self, most: int) -> list[Member]:
        return self.source.sample(PEOPLE, self.source.randrange(most))

    def small(self) -> None:
        named = self.some(8)
        cut = self.source.randrange(len(named) + 1)
        add, remove = named[:cut], named[cut:]
        stand, revision = Standpoint.of(self.flag), self.flag.revision + 1
        long = {member for member in named if stand.holds(self.events.get(member, ()))}
        placed = place(self.flag, add=add, remove=remove, long=long, most=self.most)
        assert len(inline(placed.flag.allow)) <= max(self.most, len(inline(self.flag.allow)))
        for member, comes in placed.moved.items():
            ordinal = self.open.ordinal if self.open else None
            held = stand.kept(self.events.get(member, ()), ordinal)
            self.events[member] = (*held, (revision, comes))
            if self.open is not None:
                waits = staged(held, ordinal)
                before = effect_on_list(member, comes=waits, is_long=not comes, is_in=not comes)
                after = effect_on_list(member, comes=waits, is_long=comes, is_in=comes)
                self.open = replace(self.open, tally=self.open.tally.plus(before, -1).plus(after))
        listed, before_flag = self.listed, self.flag
        now = (listed | set(add)) - set(remove)
        assert (placed.added, placed.removed) == (len(now - listed), len(listed - now))
        self.flag = replace(with_moved(placed.flag, placed.moved, revision), revision=revision)
        assert bool(losses(alone(before_flag), alone(self.flag))) is (placed.removed > 0)
        self.remember(now)

    def put(self) -> None:
        """Replace the inline part; the new ids may also be in the long part."""
        gone, revision, before = set(inline(self.flag.allow)), self.flag.revision + 1, self.listed
        fresh = self.some(min(4, self.most + 1))
        stand = Standpoint.of(self.flag)
        stay = {member for member in PEOPLE if stand.holds(self.events.get(member, ()))}
        users, orgs = (frozenset(name for of, name in fresh if of == kind) for kind in ("user", "org"))
        self.flag = replace(self.flag, allow=replace(self.flag.allow, users=users, orgs=orgs), revision=revision)
        self.remember((before - gone) | stay | set(fresh))

    def opens(self) -> None:
        self.ordinal += 1
        kind, mode = self.source.choice(("user", "org")), self.source.choice(("add", "remove"))
        self.open, self.wanted = Import("i", kind, mode, self.ordinal, 0), {}

    def stages(self) -> None:
        assert self.open is not None
        stand = Standpoint.of(self.flag, now=True)
        for member in self.some(6):
            if member[0] != self.open.kind:
                continue
            held, comes = self.events.get(member, ()), self.open.mode == "add"
            self.open = replace(self.open, staged=self.open.staged + 1, digest=chained(self.open.digest, [member[1]]))
            if staged(held, self.open.ordinal) is not None:
                continue
            self.wanted[member] = comes
            self.events[member] = (*stand.kept(held, self.open.ordinal), (f"{self.open.ordinal}", comes))
            is_long = stand.holds(held)
            is_in = is_long or is_inline(self.flag.allow, member)
            done = effect_on_list(member, comes=comes, is_long=is_long, is_in=is_in)
            self.open = replace(self.open, tally=self.open.tally.plus(done))

    def commits(self) -> None:
        assert self.open is not None
        revision = self.flag.revision + 1
        came = {member for member, comes in self.wanted.items() if comes}
        before, listed = self.flag, self.listed
        now = (listed | came) - (self.wanted.keys() - came)
        switched = switch_on(self.flag, self.open, self.events, revision)
        self.flag = replace(switched.flag, revision=revision)
        tally = switched.done.tally
        assert (tally.added, tally.removed) == (len(now - listed), len(listed - now))
        assert bool(losses(alone(before), alone(self.flag))) is (tally.removed > 0)
        self.open = None
        self.remember(now)

    def abandons(self) -> None:
        self.open = None

    def step(self) -> None:
        acts = [self.small, self.small, self.put]
        acts += [self.opens] if self.open is None else [self.stages, self.stages, self.commits, self.abandons]
        self.source.choice(acts)()

    def check(self) -> None:
        for revision, flag in self.documents.items():
            stand = Standpoint.of(flag)
            long = {member for member, events in self.events.items() if stand.holds(events)}
            assert long | set(inline(flag.allow)) == self.truth[revision], revision
            counted = flag.members
            held = [sum(kind == one for kind, _ in long) for one in ("user", "org")]
            assert held == ([0, 0] if counted is None else [counted.users, counted.orgs])


@pytest.mark.parametrize("most", [0, 3, 1_000])
def test_the_list_as_of_any_past_revision_is_what_it_was_then(most: int) -> None:
    revisions = switched = 0
    for seed in range(SEEDS):
        history = ListHistory(Random(seed), most)
        for _ in range(40):
            history.step()
        history.check()
        revisions += len(history.documents)
        switched += len(history.flag.members.imports) if history.flag.members else 0
    assert revisions > 20 * SEEDS
    assert switched > SEEDS


def test_the_list_does_not_depend_on_the_inline_limit() -> None:
    """The same changes at three limits give the same lists, wherever an id is stored."""
    for seed in range(SEEDS):
        histories = [ListHistory(Random(seed), most) for most in (0, 3, 1_000)]
        for _ in range(25):
            for history in histories:
                history.small()
        assert histories[0].truth == histories[1].truth == histories[2].truth


def test_an_import_digest_continues_from_call_to_call() -> None:
    whole = chained(GENESIS, ["a", "b", "c"])
    assert chained(chained(GENESIS, ["a"]), ["b", "c"]) == whole
    assert whole == "a3ab5ff41f89425fc676a7737346cface9ca7df2707a2dd66c44aae3c45427fe"
    assert chained(GENESIS, ["a", "c", "b"]) != whole
    assert chained(GENESIS, []) == "0" * 64


@pytest.mark.parametrize(
    "members",
    [
        [], {"users": -1}, {"users": True}, {"orgs": "1"}, {"imports": {}}, {"imports": [[1]]},
        {"imports": [[1, True]]}, {"imports": [[0, 1]]}, {"imports": [["1", 1]]}, {"changed": []}, {"unheard_of": 1},
    ],
)  # fmt: skip
def test_a_flag_whose_long_part_cannot_be_read_is_quarantined(members: object) -> None:
    document = {**flag_document(Flag("f", "s", stage=Stage.GA, revision=1)), "members": members}
    flag = read_flag("f", document)
    assert flag.quarantined
    assert flag.members is LOST_LIST


def test_a_quarantined_flag_keeps_the_readable_long_part() -> None:
    document = {**flag_document(Flag("f", "s", revision=1)), "stage": "?", "members": {"users": 2, "imports": [[1, 3]]}}
    flag = read_flag("f", document)
    assert flag.quarantined
    assert flag.members is not None
    assert (flag.members.users, flag.members.imports) == (2, ((1, 3),))
