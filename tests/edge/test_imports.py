"""Long lists through the admin API: the invisible inline limit, imports under faults and races, refusals.

On the reference table, with a limit of 5 inline ids instead of 1,000 where only the running time differs.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from random import Random
from typing import Any

import pytest
from desk import quiet
from fake_clock import FakeClock
from members_desk import ALLOW, IMPORT, IMPORTS, WHY, MembersDesk, digest_of
from operators import check, entries
from reference_table import Crashed, Fault, ReferenceTable, at, clear, mixed
from schedules import Schedules

from headgate.core.decision import decide
from headgate.core.documents import canonical
from headgate.core.limits import MAX_SMALL
from headgate.core.model import Subject
from headgate.edge.admin.paging import write_cursor
from headgate.store.items import flag_key
from headgate.store.port import Put
from headgate.store.snapshots import Snapshots

IDS = [f"u{n:04}" for n in range(2_500)]


def new(inline: int = 5, *, table: ReferenceTable | None = None, clock: FakeClock | None = None) -> MembersDesk:
    """An operator of a new flag at stage allowlist."""
    desk = MembersDesk(table or ReferenceTable(), clock or FakeClock(), inline=inline)
    desk.creates()
    return desk


# -- the inline limit is invisible


def one_after_another(desk: MembersDesk, source: Random, steps: int) -> list[Any]:
    """The answers to random calls."""
    people, told = [f"p{n}" for n in range(40)], list[Any]()
    for step in range(steps):
        some = source.sample(people, source.randrange(1, 16))
        kind, cut = source.choice(("users", "orgs")), source.randrange(16)
        act = source.randrange(4)
        if act < 3:
            reply = desk.changes(add=some[:cut], remove=some[cut:], kind=kind, shrink=source.random() < 0.6)
            told.append((reply.status, reply.slug, *(reply.body.get(name) for name in ("added", "removed", "version"))))
        else:
            mode, kind = source.choice(("add", "remove")), kind.removesuffix("s")
            reply = desk.imports(f"i{step}", some, mode, kind)
            told.append((reply.status, reply.body["added"], reply.body["removed"], reply.body["version"]))
        kind = kind.removesuffix("s")
        told.append((sorted(desk.members(kind, source.randrange(1, 9))), next(iter(desk.pages()))["counts"]))
    return told


@quiet()
def test_answers_do_not_depend_on_the_inline_limit() -> None:
    for seed in range(40):
        desks = [new(inline) for inline in (0, 5, 1_000)]
        first, *others = [one_after_another(desk, Random(seed), 8) for desk in desks]
        assert all(other == first for other in others), seed
        revision = check(desks[0].table)  # type: ignore[arg-type]
        assert check(desks[2].table) == revision  # type: ignore[arg-type]
        for person in ("p0", "p1", "p2"):
            for as_of in (None, *range(1, revision + 1)):
                asked = [desk.explains(person, [person], as_of) for desk in desks]
                assert asked[0] == asked[1] == asked[2], (seed, person, as_of)


def test_ids_are_stored_inline_up_to_the_limit_and_then_in_the_long_part() -> None:
    desk = new(5)
    reply = desk.changes(add=IDS[:7])
    assert (reply.status, reply.body["added"]) == (200, 7)
    assert reply.body["allow"]["users"] == IDS[:5]
    assert reply.body["members"]["users"] == 2
    assert reply.body["members"]["changed"]["ids"]["added"] == {"users": IDS[5:7], "orgs": []}
    assert desk.changes(remove=IDS[:2]).body["removed"] == 2
    assert desk.changes(add=["x"]).body["allow"]["users"] == [*IDS[2:5], "x"]


def test_a_list_that_is_large_in_bytes_uses_the_long_part() -> None:
    """1,000 ids of 250 bytes do not fit into a flag; callers do not notice."""
    desk = new(1_000)
    ids = [f"{n:04}" + "x" * 246 for n in range(400)]
    assert desk.changes(add=ids).body["added"] == 400
    assert sorted(desk.members()) == ids
    assert next(iter(desk.pages()))["counts"] == {"users": 400, "orgs": 0}
    assert desk.changes(remove=ids[::2]).body["removed"] == 200
    assert sorted(desk.members()) == ids[1::2]


def test_replacing_a_flag_leaves_its_long_part_unchanged() -> None:
    desk = new(5)
    desk.changes(add=IDS[:8])
    flag = desk.flag
    body = {"stage": "allowlist", "allow": {"users": [IDS[6], "new"]}, "allow_shrink": True, **WHY}
    replaced = desk.does("PUT /admin/v1/flags/{key}", body, **{"if-match": f'"{flag["version"]}"'})
    assert (replaced.status, replaced.body["members"]) == (200, flag["members"])
    assert sorted(desk.members()) == sorted([*IDS[5:8], "new"])
    assert next(iter(desk.pages()))["counts"] == {"users": 4, "orgs": 0}
    assert desk.changes(remove=[IDS[6]]).body["removed"] == 1  # from both places
    assert desk.explains(IDS[6]) == (False, "NOT_LISTED")
    manifest = {"flags": [{"key": "f", "allow": {"users": []}}], "allow_shrink": True, **WHY}
    assert desk.does("POST /admin/v1/manifest", manifest).status == 200
    assert sorted(desk.members()) == [IDS[5], IDS[7]]


def test_kill_and_restore_leave_the_long_part_unchanged() -> None:
    desk = new(0)
    desk.changes(add=IDS[:3])
    members = desk.flag["members"]
    assert desk.does("POST /admin/v1/flags/{key}/kill", WHY).status == 200
    assert desk.flag["members"] == members
    assert desk.explains(IDS[0]) == (False, "KILLED")
    assert desk.does("POST /admin/v1/flags/{key}/restore", WHY).body["members"] == members
    assert desk.explains(IDS[0]) == (True, "ALLOWLIST")


def test_a_page_over_removed_members_may_be_short_and_has_a_next() -> None:
    """One page reads at most 5,000 member items."""
    desk = new(0)
    ids = [f"p{n}" for n in range(5_300)]
    desk.imports("i", ids)
    desk.imports("j", ids[:5_290], "remove")
    pages = list(desk.pages(limit=20))
    assert [len(page["members"]) for page in pages] == [len(pages[0]["members"]), 10 - len(pages[0]["members"])]
    assert sorted(name for page in pages for name in page["members"]) == ids[5_290:]


@pytest.mark.parametrize("place", ["", "z", "gu0001", "user#u"])
def test_a_cursor_that_no_page_returned_is_refused(place: str) -> None:
    """A87."""
    desk = new(5)
    ask = replace(desk.ask(f"GET {ALLOW}"), query={"cursor": write_cursor("f.user", place)})
    assert desk.desk.answers(ask).slug == "invalid-cursor"
    ask = replace(desk.ask(f"GET {ALLOW}"), query={"cursor": write_cursor("g.user", ".a")})
    assert desk.desk.answers(ask).slug == "invalid-cursor"


# -- small changes and large ones


def test_a_small_change_is_one_transaction() -> None:
    desk = new(0)
    before = len(desk.table.calls)  # type: ignore[attr-defined]
    etag = f'"{desk.flag["version"]}"'
    reply = desk.changes(add=IDS[:MAX_SMALL], match=etag)
    made = desk.table.calls[before:]  # type: ignore[attr-defined]
    assert reply.body["added"] == MAX_SMALL
    (write,) = [call for call in made if call.op == "write"]
    assert len(write.keys) == 4 + MAX_SMALL
    assert len(entries(desk.table)) == 2  # type: ignore[arg-type]


@pytest.mark.parametrize("count", [MAX_SMALL + 1, 1_000])
def test_a_large_change_is_staged_and_has_one_entry(count: int) -> None:
    desk = new(0)
    assert desk.changes(add=IDS[:count]).body["added"] == count
    assert sorted(desk.members()) == IDS[:count]
    (_created, entry) = entries(desk.table)  # type: ignore[arg-type]
    changed = entry["after"]["members"]["changed"]
    assert (entry["action"], changed["added"], changed["import"]["count"]) == ("flag.allow", count, count)
    assert changed["import"]["digest"] == digest_of(f"+user#{name}" for name in IDS[:count])
    assert desk.explains(IDS[0], as_of=1) == (False, "NOT_LISTED")
    check(desk.table)  # type: ignore[arg-type]


def test_a_refused_large_change_leaves_nothing_staged() -> None:
    desk = new(0)
    desk.changes(add=IDS[:200])
    assert desk.changes(remove=IDS[:200], shrink=False).slug == "would-shrink"
    assert desk.changes(add=IDS[200:400], match='"1"').slug == "precondition-failed"
    assert sorted(desk.members()) == IDS[:200]
    assert desk.changes(add=IDS[300:500]).body["added"] == 200


def test_a_large_change_during_an_open_import_is_refused() -> None:
    desk = new(0)
    desk.opens("i")
    before = check(desk.table)  # type: ignore[arg-type]
    reply = desk.changes(add=IDS[:200])
    assert (reply.status, reply.slug, reply.body["import"]) == (409, "import-open", "i")
    assert check(desk.table) == before  # type: ignore[arg-type]
    assert desk.changes(add=IDS[:20]).status == 200


def test_an_unfinished_large_change_is_replaced_after_a_minute() -> None:
    """Its batch stays open for a minute; then another change can replace it, and the staged ids never take effect."""
    clock, table = FakeClock(), ReferenceTable()
    desk = new(0, table=table, clock=clock)
    flag = desk.flag
    table.weather = at(len(table.calls) + 6, Fault.CRASH_AFTER)
    with pytest.raises(Crashed):
        desk.changes(add=IDS[:500], match=f'"{flag["version"]}"', idem="lost")
    table.weather = clear
    assert desk.opens("i").slug == "import-open"
    clock.advance(61)
    assert desk.imports("i", IDS[400:600]).body["added"] == 200
    assert sorted(desk.members()) == IDS[400:600]
    again = desk.changes(add=IDS[:500], match=f'"{flag["version"]}"', idem="lost")
    assert again.slug == "precondition-failed"
    check(table)


# -- imports


def test_an_import_is_one_entry_with_counts_and_a_digest() -> None:
    desk = new(5)
    desk.changes(add=["u0003", "other"])
    opened = desk.opens("people.2026_05-a")
    assert (opened.status, opened.body) == (201, desk.shows("people.2026_05-a").body)
    assert opened.body == {"id": "people.2026_05-a", "kind": "user", "mode": "add", "state": "open", "staged": 0,
                           "added": 0, "removed": 0, "digest": "0" * 64, "revision": None}  # fmt: skip
    for begin in (0, 1_000, 2_000):
        staged = desk.stages("people.2026_05-a", IDS[begin : begin + 1_000], begin)
    assert (staged.status, staged.body["staged"], staged.body["added"]) == (200, 2_500, 2_499)
    assert desk.members() == ["other", "u0003"]
    assert desk.explains(IDS[7]) == (False, "NOT_LISTED")
    done = desk.commits("people.2026_05-a", IDS)
    assert (done.status, done.body["added"], done.body["removed"]) == (200, 2_499, 0)
    assert sorted(desk.members()) == sorted([*IDS, "other"])
    assert next(iter(desk.pages()))["counts"] == {"users": 2_501, "orgs": 0}
    *_before, entry = entries(desk.table)  # type: ignore[arg-type]
    assert (entry["revision"], entry["action"], entry["flag"]) == (3, "flag.import", "f")
    assert entry["after"]["members"]["changed"] == {
        "revision": 3, "added": 2_499, "removed": 0,
        "import": {"id": "people.2026_05-a", "ordinal": 1, "kind": "user", "mode": "add", "count": 2_500,
                   "digest": digest_of(IDS)},
    }  # fmt: skip
    assert len(str(entry)) < 4_000
    assert check(desk.table) == 3  # type: ignore[arg-type]
    shown = desk.shows("people.2026_05-a").body
    assert (shown["state"], shown["revision"], shown["added"]) == ("committed", 3, 2_499)


def test_every_import_call_can_be_repeated() -> None:
    desk = new(0)
    assert [desk.opens("i").status for _ in range(2)] == [201, 200]
    for _ in range(2):
        assert desk.stages("i", IDS[:300]).body["staged"] == 300
    assert desk.stages("i", IDS[100:200], 100).body["staged"] == 300
    assert desk.stages("i", IDS[200:400], 200).body["staged"] == 400
    first, second = (desk.commits("i", IDS[:400]) for _ in range(2))
    assert (first.status, first.body, first.etag) == (second.status, second.body, second.etag)
    desk.changes(add=["another"])
    assert desk.commits("i", IDS[:400]).body == first.body
    assert check(desk.table) == 3  # type: ignore[arg-type]
    for _ in range(2):
        desk.opens("j")
        assert desk.abandons("j").status == 204
    assert desk.shows("j").body["state"] == "abandoned"


def test_a_duplicate_id_is_counted_once() -> None:
    """Within a call a duplicate is refused; across calls it is accepted, and the counts stay exact."""
    desk = new(0)
    desk.opens("i")
    desk.stages("i", IDS[:300])
    assert desk.stages("i", IDS[100:400], 300).body["added"] == 400
    done = desk.commits("i", [*IDS[:300], *IDS[100:400]])
    assert (done.body["added"], done.body["members"]["users"]) == (400, 400)
    assert sorted(desk.members()) == IDS[:400]


def test_an_idempotency_key_of_an_import_call_is_one_request() -> None:
    """For every import call: the stored answer for the same request, 422 for another."""
    desk = new(0)
    bodies: Mapping[str, tuple[str, Any]] = {
        f"POST {IMPORTS}": ("", {"id": "i", "kind": "user", "mode": "add", **WHY}),
        f"POST {IMPORT}/members": ("i", {"at": 0, "ids": IDS[:3]}),
        f"POST {IMPORT}/commit": ("i", {"count": 3, "digest": digest_of(IDS[:3]), **WHY}),
        f"DELETE {IMPORT}": ("j", WHY),
    }
    for number, (route, (name, body)) in enumerate(bodies.items()):
        if route.startswith("DELETE"):
            desk.opens("j")
        first, again = (desk.does(route, body, name=name, idem=f"key-{number}") for _ in range(2))
        assert (first.status, first.body) == (again.status, again.body), route
        assert first.status in (200, 201, 204), first
        other = desk.does(route, {**body, "reason": "another"}, name=name, idem=f"key-{number}")
        assert (other.status, other.slug) == (422, "idempotency-key-reused"), route
        assert desk.does(route, body, name=name, **{"idempotency-key": ""}).slug == "idempotency-key-required"


def test_a_call_that_does_not_match_the_import_is_refused() -> None:
    desk = new(0)
    desk.opens("i")
    ahead = desk.stages("i", IDS[:2], 5)
    assert (ahead.status, ahead.slug, ahead.body["staged"]) == (409, "import-differs", 0)
    desk.stages("i", IDS[:2])
    for ids in (IDS[:3], IDS[:1], [IDS[1], IDS[0]]):
        assert desk.commits("i", ids).slug == "import-differs"
    assert desk.opens("i", "remove").slug == desk.opens("i", "add", "org").slug == "import-differs"
    assert desk.opens("other").slug == "import-open"
    assert desk.shows("other").slug == desk.stages("other", IDS[:1]).slug == "unknown-import"
    assert desk.abandons("i").status == 204
    assert desk.stages("i", IDS[2:4], 2).slug == desk.commits("i", IDS[:2]).slug == "import-closed"
    assert desk.members() == []
    desk.opens("other")
    assert desk.abandons("other").status == desk.abandons("other").status == 204


def test_an_import_that_removes_access_needs_allow_shrink() -> None:
    desk = new(2)
    desk.changes(add=IDS[:10])
    desk.opens("i", "remove")
    gone = ["u0001", "u0009", "nobody"]
    assert desk.stages("i", gone).body["removed"] == 2
    assert desk.commits("i", gone, shrink=False).slug == "would-shrink"
    assert desk.commits("i", gone).body["removed"] == 2
    assert sorted(desk.members()) == [name for name in IDS[:10] if name not in gone]
    desk.imports("j", ["nobody"], "remove")
    assert desk.does("POST /admin/v1/flags/{key}/stage", {"stage": "ga", **WHY}, **{"if-match": '"4"'}).status == 200
    desk.opens("k", "remove")
    desk.stages("k", IDS[:3])
    assert desk.commits("k", IDS[:3], shrink=False).status == 200  # at GA, removing ids removes no access


BAD: Mapping[str, tuple[Any, int, str]] = {
    "A80-1,001 ids": ({"at": 0, "ids": [f"u{n}" for n in range(1_001)]}, 413, "too-large"),
    "A80-twice": ({"at": 0, "ids": ["a", "b", "a"]}, 400, "invalid-body"),
    "A80-none": ({"at": 0, "ids": []}, 400, "invalid-body"),
    "A80-257 bytes": ({"at": 0, "ids": ["é" * 128 + "e"]}, 400, "invalid-body"),
    "A81-unknown": ({"at": 0, "ids": ["a"], "version": 1}, 400, "invalid-body"),
    "A82-e-mail": ({"at": 0, "ids": ["a@example.com"]}, 400, "invalid-body"),
    "A82-blank": ({"at": 0, "ids": ["a b"]}, 400, "invalid-body"),
    "A82-newline": ({"at": 0, "ids": ["a\nb"]}, 400, "invalid-body"),
    "A83-blank reason": ({"at": 0, "ids": ["a"], "reason": " "}, 400, "invalid-body"),
    "number": ({"at": 0, "ids": [7]}, 400, "invalid-body"),
    "true as offset": ({"at": True, "ids": ["a"]}, 400, "invalid-body"),
    "before the beginning": ({"at": -1, "ids": ["a"]}, 400, "invalid-body"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_ids_are_refused(case: str) -> None:
    body, status, slug = BAD[case]
    desk = new(0)
    desk.opens("i")
    reply = desk.does(f"POST {IMPORT}/members", body, name="i")
    assert (reply.status, reply.slug) == (status, slug)
    assert desk.shows("i").body["staged"] == 0


@pytest.mark.parametrize("name", ["", "a b", "é", "x" * 65, "call:1", "a/b", "a#b"])
def test_bad_names_are_refused(name: str) -> None:
    assert new(0).opens(name).slug == "invalid-body"


@pytest.mark.parametrize("name", ["x" * 2_000, "call:1", "a b", "é", "i\n"])
def test_an_import_with_an_invalid_name_is_unknown(name: str) -> None:
    """No such name reaches the table as a key."""
    desk = new(0)
    assert desk.shows(name).slug == desk.stages(name, ["a"]).slug == desk.abandons(name).slug == "unknown-import"


def test_an_import_of_orgs_lists_orgs() -> None:
    desk = new(0)
    assert desk.imports("i", ["org@1", "u1"], kind="org").body["added"] == 2
    assert (desk.members("org"), desk.members("user")) == (sorted(desk.members("org")), [])
    assert desk.explains("u1") == (False, "NOT_LISTED")
    assert desk.explains("someone", ["org@1"]) == (True, "ALLOWLIST")


# -- concurrent small changes


class ExpectedList:
    """The list according to the answers and the stream, entry by entry, as a plain set."""

    def __init__(self, ids: Sequence[str], mode: str) -> None:
        self.ids, self.mode = set(ids), mode

    def check(self, desk: MembersDesk, answers: Mapping[int, tuple[int, int]]) -> None:
        """Check the effect of every entry, and the list at the end."""
        listed: set[str] = set()
        for entry in entries(desk.table)[1:]:  # type: ignore[arg-type]
            after, before = entry["after"], entry["before"]
            now = (listed - set(before["allow"]["users"])) | set(after["allow"]["users"])
            changed = after.get("members", {}).get("changed", {})
            if entry["action"] == "flag.import":
                now = now | self.ids if self.mode == "add" else now - self.ids
            elif changed.get("revision") == entry["revision"]:
                now = (now | set(changed["ids"]["added"]["users"])) - set(changed["ids"]["removed"]["users"])
            counted = answers[entry["revision"]]
            assert (len(now - listed), len(listed - now)) == counted, entry["revision"]
            listed = now
        assert set(desk.members()) == listed
        assert next(iter(desk.pages()))["counts"] == {"users": len(listed), "orgs": 0}


@pytest.fixture(scope="module")
def stage() -> Iterator[Schedules]:
    schedules = Schedules(4)
    yield schedules
    schedules.close()


class ImportRace:
    """A table that yields the turn at every step; an importer and admins on the same ids. One seed is one run."""

    def __init__(self, seed: int) -> None:
        self.source, self.table, self.clock = Random(seed), ReferenceTable(page=20), FakeClock()
        self.mode = self.source.choice(("add", "remove"))
        self.people = [f"p{n}" for n in range(50)]
        self.first = new(self.source.choice((0, 4)), table=self.table, clock=self.clock)
        self.answers: dict[int, tuple[int, int]] = {}
        self.is_over = False
        assert self.told(self.first.changes(add=self.source.sample(self.people, 12)))
        self.ids = self.source.sample(self.people, 40)

    def told(self, reply: Any) -> bool:
        """Keep the answer; return whether it was a success."""
        if reply.status == 200:
            self.answers[reply.body["revision"]] = (reply.body["added"], reply.body["removed"])
        return bool(reply.status == 200)

    def another(self) -> MembersDesk:
        """An operator with its own environment."""
        return MembersDesk(self.table, self.clock, inline=4, budget=60.0, jitter=self.source.random)

    def until(self, call: Callable[[], Any]) -> Any:
        """Repeat a call without an answer once the breaker allows it."""
        while (reply := call()).status == 503:
            self.clock.advance(2)
        return reply

    def importer(self) -> None:
        """Run a whole import."""
        desk = self.another()
        self.until(lambda: desk.opens("i", self.mode))
        for begin in range(0, len(self.ids), 10):
            part = self.ids[begin : begin + 10]
            assert self.until(lambda begin=begin, part=part: desk.stages("i", part, begin)).status == 200
        assert self.told(self.until(lambda: desk.commits("i", self.ids)))
        self.is_over = True

    def admin(self, name: str) -> None:
        """Make changes until the import is over, each on the newest version; some are too late."""
        desk = self.another()
        for number in range(200):
            if self.is_over:
                return
            some, idem = self.source.sample(self.people, 6), f"{name}-{number}"
            match = f'"{self.until(lambda: desk.does("GET /admin/v1/flags/{key}")).body["version"]}"'
            options = {"add": some[:3], "remove": some[3:], "match": match, "idem": idem}
            self.told(self.until(lambda options=options: desk.changes(**options)))

    def run(self, stage: Schedules, chances: Mapping[Fault, float]) -> None:
        """Run all at once; then compare the list with the answers and the stream."""
        self.table.turn, self.table.weather = stage.turn, mixed(self.source, chances)
        outcomes = stage.run(self.source, [self.importer, lambda: self.admin("ann"), lambda: self.admin("ben")])
        assert outcomes == [None] * 3
        self.table.turn, self.table.weather = lambda: None, clear
        check(self.table)
        ExpectedList(self.ids, self.mode).check(self.first, self.answers)

    @property
    def crossed(self) -> int:
        """How many ids were changed by an admin while they were staged."""
        histories = [
            [isinstance(when, str) for when, _came in json.loads(str(item["events"]))]
            for pk, rows in self.table.saved().items()
            if pk.startswith("members#")
            for item in rows.values()
        ]
        return sum(True in one and False in one[one.index(True) :] for one in histories)


FAULTS = {Fault.LOST_ANSWER: 0.05, Fault.LOST_REQUEST: 0.05, Fault.THROTTLED: 0.05}


@pytest.mark.parametrize("chances", [{}, FAULTS], ids=["calm", "faults"])
@quiet()
def test_concurrent_staging_and_small_changes_lose_nothing(stage: Schedules, chances: Mapping[Fault, float]) -> None:
    crossed = 0
    for seed in range(30):
        crew = ImportRace(seed)
        crew.run(stage, chances)
        crossed += crew.crossed
    assert crossed > 100


# -- faults at any moment


def whole_import(desk: MembersDesk, ids: Sequence[str]) -> Any:
    """A whole import, by a client that resumes where it stopped."""
    desk.opens("i")
    staged = desk.shows("i").body.get("staged", 0)
    if staged < len(ids):
        desk.stages("i", ids[staged:], staged)
    return desk.commits("i", ids).body


@pytest.mark.parametrize("fault", [Fault.CRASH_BEFORE, Fault.CRASH_AFTER, Fault.LOST_ANSWER, Fault.LOST_REQUEST])
@quiet()
def test_an_import_resumes_after_a_fault_at_any_store_call(fault: Fault) -> None:
    ids = IDS[:250]

    def begin() -> MembersDesk:
        desk = new(3)
        desk.changes(add=IDS[240:260])
        return desk

    plain = begin()
    start = len(plain.table.calls)  # type: ignore[attr-defined]
    expected = whole_import(plain, ids)
    assert expected["added"] == 240
    for number in range(start, len(plain.table.calls)):  # type: ignore[attr-defined]
        desk = begin()
        table: Any = desk.table
        table.weather = at(number, fault)
        try:
            found = whole_import(desk, ids)
        except Crashed:
            found = {}
        table.weather = clear
        again = MembersDesk(table, FakeClock(), inline=3)
        if found.get("added") != 240:
            found = whole_import(again, ids)
        assert {**found, "updated_at": ""} == {**expected, "updated_at": ""}, (fault, number)
        assert sorted(again.members()) == sorted({*ids, *IDS[240:260]})
        assert check(table) == 3


@pytest.mark.parametrize("fault", [Fault.CRASH_BEFORE, Fault.CRASH_AFTER, Fault.LOST_ANSWER, Fault.LOST_REQUEST])
@pytest.mark.parametrize("count", [40, 200], ids=["small", "large"])
@quiet()
def test_a_large_change_repeated_after_a_fault_is_one_change(count: int, fault: Fault) -> None:
    def begin() -> MembersDesk:
        desk = new(3)
        desk.changes(add=IDS[:20])
        return desk

    def call(desk: MembersDesk) -> Any:
        return desk.changes(add=IDS[10:count], remove=IDS[:10], match='"2"', idem="once")

    plain = begin()
    start, expected = len(plain.table.calls), call(plain).body  # type: ignore[attr-defined]
    assert (expected["added"], expected["removed"]) == (count - 20, 10)
    for number in range(start, len(plain.table.calls)):  # type: ignore[attr-defined]
        desk = begin()
        table: Any = desk.table
        table.weather = at(number, fault)
        try:
            found = call(desk).body
        except Crashed:
            found = {}
        table.weather = clear
        again = MembersDesk(table, FakeClock(), inline=3)
        found = found if "added" in found else call(again).body
        assert {**found, "updated_at": ""} == {**expected, "updated_at": ""}, (fault, number)
        assert sorted(again.members()) == IDS[10:count]
        assert check(table) == 3


# -- effect on live decisions


def test_a_removal_applies_to_the_next_live_decision_and_costs_one_read() -> None:
    desk = new(0)
    desk.changes(add=IDS[:50])
    table: Any = desk.table
    environment = Snapshots(table, clock=FakeClock())

    def is_in(user: str) -> tuple[bool, int]:
        before = len(table.calls)
        view = environment.live()
        listing = environment.with_lists(view, Subject(user, ("o1", "o2")), ("f",))
        return decide(view.snapshot.rules, "f", listing.subject).value, len(table.calls) - before

    assert is_in(IDS[7])[0]
    assert is_in(IDS[7]) == (True, 1)  # both are cached by now
    assert is_in(IDS[8]) == (True, 2)
    assert is_in("nobody") == (False, 2)
    assert is_in("nobody") == (False, 1)
    desk.changes(remove=[IDS[7]])
    assert is_in(IDS[7])[0] is False
    desk.imports("i", IDS[8:20], "remove")
    assert is_in(IDS[8])[0] is False
    assert is_in(IDS[7]) == (False, 2)
    desk.imports("j", IDS[7:8])
    assert is_in(IDS[7])[0] is True


# -- preview


def previews(desk: MembersDesk, change: Any, *users: str) -> Any:
    """The preview for these subjects and for all known ones."""
    body = {"flag": "f", "change": change, "subjects": [{"user": user} for user in users]}
    reply = desk.does("POST /admin/v1/preview", body)
    assert reply.status == 200, reply
    return reply.body


@pytest.mark.parametrize("inline", [0, 3, 1_000])
def test_a_preview_uses_the_long_list_for_known_subjects(inline: int) -> None:
    desk = new(inline)
    desk.changes(add=IDS[:10])
    named = (*IDS[:12], "stranger")

    def told(change: Any) -> tuple[int, int, bool]:
        found = previews(desk, change, *named)
        return found["gains"], found["loses"], found["shrinks"]

    assert told({"stage": "ga"}) == (3, 0, False)
    assert told({"kill": True}) == (0, 10, False)
    assert told({"delete": True}) == (0, 10, True)
    assert told({"remove": {"users": [*IDS[8:12]]}}) == (0, 2, True)
    assert told({"add": {"users": [*IDS[8:12]]}}) == (2, 0, False)
    assert told({"add": {"users": [*IDS[:1_000]]}}) == (990, 0, False)
    assert previews(desk, {"kill": True}, *named)["known"]["complete"] is (inline == 1_000)
    body = {"stage": "admin_only", "allow_shrink": True, **WHY}
    desk.does("POST /admin/v1/flags/{key}/stage", body, **{"if-match": '"2"'})
    assert told({"stage": "allowlist"}) == (10, 0, False)


@quiet()
@pytest.mark.parametrize("damage", ["the long part", "all of it"])
def test_a_lost_long_list_restarts_empty(damage: str) -> None:
    """Old member items admit nobody; explain as of the past still uses them."""
    table = ReferenceTable()
    desk = MembersDesk(table, FakeClock(), inline=0)
    desk.creates()
    desk.changes(add=["a", "b"])
    desk.imports("batch", ["c"])
    before = desk.flag
    item = table.get([flag_key("f")])[flag_key("f")]
    body = canonical({**before, "members": "?"}) if damage == "the long part" else "{"
    table.write([Put({**item, "body": body})])
    desk = MembersDesk(table, FakeClock(), inline=0)  # an environment that has not seen the old flag
    assert desk.explains("a") == (False, "ADMIN_ONLY")

    mended = {name: before[name] for name in ("stage", "allow", "salt")} | {"allow_shrink": True, **WHY}
    etag = f'"{before["version"]}"'
    assert desk.does("PUT /admin/v1/flags/{key}", mended, **{"if-match": etag}).status == 200
    assert desk.changes(add=["d"]).status == 200
    assert desk.members() == ["d"]
    assert (desk.flag["members"]["users"], desk.flag["members"]["since"]) == (1, before["revision"] + 1)
    assert [desk.explains(who)[0] for who in "abcd"] == [False, False, False, True]
    assert [desk.explains(who, as_of=before["revision"])[0] for who in "abcd"] == [True, True, True, False]
