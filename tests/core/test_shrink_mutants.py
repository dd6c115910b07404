"""Every mutant of a single line of the code that judges changes is caught, by the vectors or by the oracle's pairs."""

import ast
import builtins
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import gates
import pytest
import vector_files
from proofs import Tally, many
from rule_changes import alone, crowd_of, pairs, snapshot_of

from headgate.core.changes import routes, shrink
from headgate.core.changes.flag import with_flag
from headgate.core.model import Flag, LongList, Stage
from headgate.core.snapshot import Snapshot

SOURCES = {"routes": Path(routes.__file__), "shrink": Path(shrink.__file__)}
States = tuple[Snapshot, Snapshot]
Judge = Callable[[Snapshot, Snapshot], tuple[Any, ...]]
JudgeOne = Callable[[Flag, Flag, Snapshot | None], tuple[Any, ...]]
OTHER: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Eq: (ast.NotEq,), ast.NotEq: (ast.Eq,), ast.Is: (ast.IsNot,), ast.IsNot: (ast.Is,), ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,), ast.Lt: (ast.LtE, ast.GtE), ast.LtE: (ast.Lt, ast.Gt), ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
}  # fmt: skip


Slips = Iterator[ast.AST]


def _compares(node: ast.Compare) -> Slips:
    for place, op in enumerate(node.ops):
        for other in OTHER[type(op)]:
            yield ast.Compare(node.left, [*node.ops[:place], other(), *node.ops[place + 1 :]], node.comparators)


def _joins(node: ast.BoolOp) -> Slips:
    yield ast.BoolOp(ast.And() if isinstance(node.op, ast.Or) else ast.Or(), node.values)
    for values in _one_less(node.values):
        yield ast.BoolOp(node.op, values) if len(values) > 1 else values[0]


def _one_less(nodes: list[Any]) -> Iterator[list[Any]]:
    yield from ([*nodes[:place], *nodes[place + 1 :]] for place in range(len(nodes)))


def _sets(node: ast.BinOp) -> Slips:
    if isinstance(node.op, (ast.Sub, ast.BitOr)) and not isinstance(node.right, ast.Constant):
        yield from (node.left, node.right)
    if isinstance(node.op, ast.Sub):
        yield ast.BinOp(node.right, node.op, node.left)


def _quantifies(node: ast.Call) -> Slips:
    if isinstance(node.func, ast.Name) and node.func.id in ("any", "all"):
        name = ast.Name("all" if node.func.id == "any" else "any", ast.Load())
        yield ast.Call(name, node.args, node.keywords)


def _lists(node: ast.Tuple | ast.Set) -> Slips:
    if len(node.elts) > 1 and not isinstance(getattr(node, "ctx", None), ast.Store):
        for elements in _one_less(node.elts):
            yield ast.Tuple(elements, ast.Load()) if isinstance(node, ast.Tuple) else ast.Set(elements)


def _constant(node: ast.Constant) -> Slips:
    if isinstance(node.value, (bool, int)):
        yield ast.Constant(not node.value if isinstance(node.value, bool) else node.value + 1)


def _branches(node: ast.If) -> Slips:
    yield from (ast.If(ast.Constant(is_taken), node.body, node.orelse) for is_taken in (True, False))


def _is_skipped(node: ast.Expr | ast.AugAssign) -> Slips:
    if not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)):
        yield ast.If(ast.Constant(False), [node], [])  # a generator stays one


def _maps(node: ast.Dict) -> Slips:
    for keys, values in zip(_one_less(node.keys), _one_less(node.values), strict=True):
        yield ast.Dict(keys, values)


SLIPS: dict[type[ast.AST], Callable[[Any], Slips]] = {
    ast.Compare: _compares, ast.BoolOp: _joins, ast.BinOp: _sets, ast.Call: _quantifies, ast.Tuple: _lists,
    ast.Set: _lists, ast.Constant: _constant, ast.If: _branches, ast.Expr: _is_skipped, ast.AugAssign: _is_skipped,
    ast.Dict: _maps, ast.IfExp: lambda node: iter((node.body, node.orelse)),
    ast.UnaryOp: lambda node: iter((node.operand,)),
}  # fmt: skip
"""What a slip of the hand could leave in a node's place."""


@dataclass(frozen=True)
class Mutant:
    """A module with another node in one place; `told` says which and how."""

    module: str
    told: str
    place: int
    new: ast.AST

    def code(self) -> Any:
        """The mutant, compiled."""
        path = SOURCES[self.module]
        tree = _Walk(self.place, self.new).visit(ast.parse(path.read_text()))
        return compile(ast.fix_missing_locations(tree), str(path), "exec")


class _Walk(ast.NodeTransformer):
    """Visits the nodes of code, without messages, types, and keywords, and puts another in the place of one."""

    def __init__(self, place: int = -1, new: ast.AST | None = None) -> None:
        self.place, self.new, self.nodes = place, new, list[ast.AST]()

    def visit(self, node: ast.AST) -> Any:
        if isinstance(node, (ast.JoinedStr, ast.arguments, ast.keyword)) or _is_alias(node):
            return node
        if isinstance(node, ast.FunctionDef):
            node.returns = None
        if isinstance(node, ast.AnnAssign):
            node.annotation = ast.Name("object", ast.Load())
        self.nodes.append(node)
        is_place = self.new is not None and len(self.nodes) - 1 == self.place
        return ast.copy_location(self.new, node) if is_place and self.new else super().visit(node)


def _is_alias(node: ast.AST) -> bool:
    return isinstance(node, ast.Assign) and isinstance(node.value, ast.Subscript)


def mutants(module: str) -> Iterator[Mutant]:
    """Every mutant of a module."""
    text = SOURCES[module].read_text()
    walk = _Walk()
    walk.visit(ast.parse(text))
    for place, node in enumerate(walk.nodes):
        for new in SLIPS.get(type(node), lambda _node: iter(()))(node):
            was, now = (ast.unparse(ast.fix_missing_locations(one)).splitlines()[0] for one in (node, new))
            yield Mutant(module, f"{module}: {was} -> {now}", place, new)


@cache
def _original(module: str) -> Any:
    return compile(SOURCES[module].read_text(), str(SOURCES[module]), "exec")


def judges(mutant: Mutant | None) -> tuple[Judge, Judge, JudgeOne]:
    """The judgements, as the mutant makes them; none touches the modules that are loaded."""
    spaces: dict[str, dict[str, Any]] = {}
    for name in SOURCES:
        space = spaces[name] = {"__name__": f"mutant_{name}", "__builtins__": builtins}
        exec(mutant.code() if mutant is not None and mutant.module == name else _original(name), space)  # noqa: S102
    spaces["shrink"].update({name: spaces["routes"][name] for name in ("is_open", "route_losses")})
    return spaces["shrink"]["losses"], spaces["routes"]["openings"], spaces["shrink"]["flag_losses"]


@dataclass(frozen=True)
class Case:
    """A change, and what is known of it. A vector names the places; of a pair, the oracle knows only whether."""

    states: States
    shrinks: list[str] | bool | None
    opens: list[str] | bool | None

    def is_wrong(self, losses: Judge, openings: Judge) -> bool:
        for judge, known in ((losses, self.shrinks), (openings, self.opens)):
            found = judge(*self.states)
            paths = [place.path for place in found]
            if known is not None and (paths if isinstance(known, list) else bool(paths)) != known:
                return True
            if any(place.target != PARTS.get(place.path.partition(".")[0], "profile") for place in found):
                return True
        return False


PARTS = {"flags": "flag", "routes": "routes"}


def long_lists() -> Iterator[Case]:
    """Changes of the part of a list that is stored in items of its own."""
    flag = Flag("f", "s", stage=Stage.ALLOWLIST, members=LongList(5, 0, changed={"added": 5, "removed": 0}))
    fewer = replace(flag, members=LongList(3, 0, changed={"added": 0, "removed": 2}))
    more = replace(flag, members=LongList(9, 0, changed={"added": 4, "removed": 0}))
    renamed = replace(fewer, owner="me")
    bare = replace(flag, members=None)
    closed = replace(flag, stage=Stage.ADMIN_ONLY)
    yield Case((alone(closed), alone(fewer)), [], [])
    yield Case((alone(flag), alone(fewer)), ["flags.f.allow"], [])
    for before, after in ((flag, more), (fewer, renamed), (bare, flag), (fewer, bare)):
        yield Case((alone(before), alone(after)), [], [])


def one_value() -> Iterator[Case]:
    """Changes of one of a flag's two values, so that both are the same."""
    flag = Flag("f", "s", stage=Stage.GA, on="pr", off="direct")
    for name, value in (("on", flag.off), ("off", flag.on)):
        yield Case((alone(flag), alone(replace(flag, **{name: value}))), ["flags.f.values"], [])


@cache
def cases() -> list[Case]:
    """The cases, made once."""
    return list(_cases())


def _cases() -> Iterator[Case]:
    """The vectors, long lists, then random pairs."""
    yield from long_lists()
    yield from one_value()
    for one in vector_files.read("shrink")["cases"]:
        old, new = ({"flags": [] if d is None else [{"key": "f", **d}]} for d in (one["before"], one["after"]))
        yield Case((snapshot_of(old), snapshot_of(new)), one["shrinks"], False)
    changes = vector_files.read("changes")
    for one in changes["cases"]:
        old = {**changes["base"], **one.get("before", {})}
        yield Case((snapshot_of(old), snapshot_of({**old, **one["after"]})), one["shrinks"], one["opens"])
    source = Random(4)
    for pair in pairs(11, 250):
        states = snapshot_of(pair.before), snapshot_of(pair.after)
        lost = gates.is_lost(pair.before, pair.after, states, crowd_of(pair, 60, source))
        possible, _loosely = gates.opened(pair.before, pair.after, states)
        yield Case(states, True if lost else False if pair.is_pure else None, possible or None)


@cache
def replacements() -> list[tuple[Flag, Flag, Snapshot | None, tuple[Any, ...]]]:
    """Replacements of one flag, among all rules and without them, with what they take away."""
    made: list[tuple[Flag, Flag, Snapshot | None, tuple[Any, ...]]] = []
    for pair in pairs(7, 100):
        rules, after = snapshot_of(pair.before), snapshot_of(pair.after).rules.given
        for flag, new in ((flag, after[key]) for key, flag in rules.rules.given.items() if key in after):
            made.append((flag, new, rules, shrink.losses(rules, with_flag(rules, new))))
            if flag.requires == new.requires:
                made.append((flag, new, None, shrink.losses(alone(flag), alone(new))))
    return made


EQUIVALENT = {
    "shrink: new is None or not (new in before.rules.lineage.get(old, ()) or is_open(after.rules, new)) -> "
    "not (new in before.rules.lineage.get(old, ()) or is_open(after.rules, new))": "None is in no lineage and not open",
    "shrink: True -> False": "`strict`: a scale always has four parts",
    "shrink: if after.on is before.on and after.off is before.off: -> if False:": "it only saves two comparisons",
    "shrink: if before.requires == after.requires and before.claim == after.claim: -> if False:": "it only saves work",
}
"""Mutants that judge every change as the original does, and why."""


@pytest.mark.proof("single-line mutants of the code that judges changes")
@pytest.mark.parametrize("module", SOURCES)
def test_every_mutant_is_caught(module: str, tally: Tally) -> None:
    known = cases()
    assert not is_wrong(None, known)
    made = list(mutants(module))[:: many(5, 1)]
    survivors = [mutant.told for mutant in made if not is_caught(mutant, known)]
    tally.add(mutants=len(made), equivalent=len(survivors))
    assert set(survivors) <= EQUIVALENT.keys(), "\n".join(survivors)


def is_caught(mutant: Mutant, known: list[Case]) -> bool:
    try:
        return is_wrong(mutant, known)
    except Exception:  # it fails at once
        return True


def is_wrong(mutant: Mutant | None, known: list[Case]) -> bool:
    losses, openings, flag_losses = judges(mutant)
    if any(case.is_wrong(losses, openings) for case in known):
        return True
    return any(flag_losses(flag, new, rules) != lost for flag, new, rules, lost in replacements())
