"""The code against the vectors: decisions, clauses, buckets, parse faults, shrinking, routes, the audit chain."""

from dataclasses import replace
from itertools import product
from typing import Any

import pytest
import vector_files
from rule_changes import snapshot_of

from headgate.core import bucket
from headgate.core.audit import digest, verify_chain
from headgate.core.changes.routes import openings
from headgate.core.changes.shrink import losses
from headgate.core.clauses import OPERATORS, compile_rule
from headgate.core.decision import decide, trace
from headgate.core.documents import Invalid
from headgate.core.flag import flag_document, parse_flag
from headgate.core.model import Algorithm, Reason, Stage, Unit
from headgate.core.routes import live_flags, parse_routes, policies_for

DECISIONS = list(vector_files.decisions())


def named(name: str, part: str = "cases") -> Any:
    """The cases of a file, each under its name."""
    return pytest.mark.parametrize("case", vector_files.read(name)[part], ids=lambda case: case["name"])


@pytest.mark.parametrize("case", DECISIONS, ids=lambda case: case.name)
def test_decision_vector(case: vector_files.Case) -> None:
    made = decide(case.rules, case.flag, case.subject, gate=case.gate)
    assert (made.value, made.reason.value) == (case.value, case.reason)
    assert (made.flag, made.revision) == (case.flag, 7)


@pytest.mark.parametrize(
    "case", [case for case in DECISIONS if case.gate or case.reason != "FLAG_NOT_FOUND"], ids=lambda case: case.name
)
def test_decision_vector_explained(case: vector_files.Case) -> None:
    *_passed, (_flag, _step, made) = trace(case.rules, case.flag, case.subject)
    assert made is not None
    assert (made.value, made.reason) == (case.value, Reason(case.reason))


def test_decision_vectors_cover_every_reason_and_stage() -> None:
    assert {case.reason for case in DECISIONS} == set(Reason)
    killed = {
        (flag.stage, flag.killed.reach.value) for case in DECISIONS for flag in case.rules.flags.values() if flag.killed
    }
    assert killed >= set(product(Stage, ("gate", "drain", "sever")))
    split = {
        (flag.unit, case.value) for case in DECISIONS if case.reason == "SPLIT" for flag in case.rules.flags.values()
    }
    assert split >= set(product(Unit, (True, False)))


@named("clauses")
def test_clause_vector(case: dict[str, Any]) -> None:
    for clauses in [case["clauses"]] if "clauses" in case else [[clause] for clause in case["clauses_each"]]:
        rule = vector_files.flag_from({"key": "f", "allow": {"rules": [{"clauses": clauses}]}}).allow.rules[0]
        for attributes in case["all"]:
            assert (
                compile_rule(rule)(vector_files.subject_from({"user": "u", "attributes": attributes})) is case["holds"]
            ), attributes


def test_clause_vectors_cover_every_operator() -> None:
    cases = vector_files.read("clauses")["cases"]
    used = {(c["op"], case["holds"]) for case in cases for c in case.get("clauses", case.get("clauses_each", []))}
    assert used >= set(product(OPERATORS, (True, False)))


@pytest.mark.parametrize(
    "case", vector_files.read("bucketing")["cases"], ids=lambda c: ascii(f"{c['algorithm']} {c['id']}")
)
def test_bucketing_vector(case: dict[str, Any]) -> None:
    named = {name: case[name] for name in ("key", "salt", "algorithm", "hash_key") if name in case}
    flag = parse_flag(named, salt="")
    digits = 16 if flag.algorithm is Algorithm.SHA256_V1 else 15
    assert f"{bucket.position(flag, case['id']):0{digits}x}" == case["position"]
    steps = round(case["in_from"] * 1_000)
    for percent, expected in ((steps, True), (100_000, True), (steps - 1, False), (0, False)):
        ramped = replace(flag, stage=Stage.PERCENTAGE, steps=percent)
        assert bucket.is_in(ramped, case["id"]) is expected
        for unit, subject in ((Unit.USER, {"user": case["id"]}), (Unit.ORG, {"orgs": [case["id"]]})):
            rules = vector_files.ruleset({flag.key: replace(ramped, unit=unit)})
            assert decide(rules, flag.key, vector_files.subject_from(subject)).value is expected


@named("parse-faults")
def test_parse_fault_vector(case: dict[str, Any]) -> None:
    for document in case["documents"]:
        whole = {"key": "f", **document} if isinstance(document, dict) and not case.get("raw") else document
        with pytest.raises(Invalid) as refused:
            parse_flag(whole, salt="s")
        paths = [path for path, _message in refused.value.faults]
        if "faults" in case:
            assert sorted(set(paths)) == case["faults"], document
        if "fault_count" in case:
            assert len(paths) == case["fault_count"], document
        if "fault_starts" in case:
            assert all(path.startswith(case["fault_starts"]) for path in paths), document


@named("parse-faults", "accepted")
def test_parse_accepts_vector(case: dict[str, Any]) -> None:
    for document in case.get("documents", [case.get("document")]):
        flag = parse_flag(document, salt="s")
        shown = flag_document(flag)
        assert {name: shown[name] for name in document if name != "allow"} == {
            n: v for n, v in document.items() if n != "allow"
        }


@named("shrink")
def test_shrink_vector(case: dict[str, Any]) -> None:
    before, after = ({"flags": [] if d is None else [{"key": "f", **d}]} for d in (case["before"], case["after"]))
    assert bool(losses(snapshot_of(before), snapshot_of(after))) is case["shrinks"]


@named("changes")
def test_change_vector(case: dict[str, Any]) -> None:
    before = {**vector_files.read("changes")["base"], **case.get("before", {})}
    states = snapshot_of(before), snapshot_of({**before, **case["after"]})
    assert [place.path for place in losses(*states)] == case["shrinks"]
    assert [place.path for place in openings(*states)] == case["opens"]


@named("routes")
def test_route_vector(case: dict[str, Any]) -> None:
    table = parse_routes(vector_files.read("routes")["routes"])
    found = policies_for(table, case["request"], case["path"])
    access = case.get("access", "access")
    assert [
        {"name": policy.name, "class": policy.route_class.value, "live": list(live_flags(policy, access))}
        for policy in found
    ] == case["policies"]


def test_audit_chain_vector() -> None:
    chain = vector_files.read("audit-chain")
    assert verify_chain(chain["entries"], chain["head"]) is None
    assert [digest(entry) for entry in chain["entries"]] == [entry["digest"] for entry in chain["entries"]]


def test_vector_case_names_are_sentences_and_unique() -> None:
    for path in sorted(vector_files.FOLDER.glob("*.json")):
        document = vector_files.read(path.stem)
        assert document["about"].endswith(".")
        names = [case["name"] for part in ("cases", "accepted") for case in document.get(part, ()) if "name" in case]
        assert len(set(names)) == len(names), path
        assert all(" " in name and name[0].upper() == name[0] for name in names)
