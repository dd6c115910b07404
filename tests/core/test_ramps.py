"""Percentages: how many, who, in what order; and that nothing but the flag and the id has a say."""

import hashlib
import json
import subprocess
import sys
from itertools import pairwise

import pytest
import vector_files

from headgate.core.decision import decide
from headgate.core.model import Subject
from headgate.core.ruleset import ruleset

PEOPLE = [f"user-{n}" for n in range(10_000)]
ALGORITHMS = pytest.mark.parametrize("algorithm", ["sha256-v1", "posthog-v1"])


def inside(percent: float, people: list[str] = PEOPLE, **members: object) -> set[str]:
    """Who is in."""
    flag = vector_files.flag_from({"key": "ramp", "stage": "percentage", "percent": percent, **members})
    rules = ruleset({flag.key: flag})
    return {person for person in people if decide(rules, flag.key, Subject(person)).value}


@ALGORITHMS
def test_a_share_is_that_share(algorithm: str) -> None:
    assert inside(0, algorithm=algorithm) == set()
    assert inside(100, algorithm=algorithm) == set(PEOPLE)
    assert 2_850 <= len(inside(30, algorithm=algorithm)) <= 3_150
    assert 50 <= len(inside(1, algorithm=algorithm)) <= 150
    assert 9_850 <= len(inside(99, algorithm=algorithm)) <= 9_950


@ALGORITHMS
def test_a_share_of_orgs_is_that_share_and_an_org_agrees(algorithm: str) -> None:
    flag = vector_files.flag_from(
        {"key": "ramp", "stage": "percentage", "percent": 30, "unit": "org", "algorithm": algorithm}
    )
    rules = ruleset({"ramp": flag})
    members = {
        f"org-{n}": {decide(rules, "ramp", Subject(f"user-{m}", (f"org-{n}",))).value for m in range(3)}
        for n in range(2_000)
    }
    assert all(len(answers) == 1 for answers in members.values())
    assert 540 <= sum(answers == {True} for answers in members.values()) <= 660


@ALGORITHMS
def test_ramps_nest_and_return_exactly(algorithm: str) -> None:
    steps = [0, 0.001, 1, 10, 25, 50, 75, 99.999, 100]
    up = [inside(percent, algorithm=algorithm) for percent in steps]
    assert all(fewer <= more for fewer, more in pairwise(up))
    down = [inside(percent, algorithm=algorithm) for percent in reversed(steps)]
    assert down == up[::-1]
    assert len({len(people) for people in up[2:-2]}) == len(up[2:-2])


def test_the_smallest_step_is_a_step() -> None:
    """0.004 % of 200,000 is about eight; each thousandth adds."""
    crowd = [f"c{n}" for n in range(200_000)]
    flag = vector_files.flag_from({"key": "ramp", "stage": "percentage", "percent": 0.004})
    rules = ruleset({"ramp": flag})
    few = {person for person in crowd if decide(rules, "ramp", Subject(person)).value}
    assert 1 <= len(few) <= 30
    assert few <= inside(0.005, [*few, *crowd[:1_000]])
    fewer = inside(0.003, [*few])
    assert fewer < few


@ALGORITHMS
def test_flags_are_independent(algorithm: str) -> None:
    """p·q within 1 % of everybody, for other keys and (by SHA-256) other salts."""
    crowd = [f"id-{n}" for n in range(40_000)]
    first = inside(40, crowd, algorithm=algorithm)
    others = [inside(50, crowd, algorithm=algorithm, key="other"), inside(50, crowd, algorithm=algorithm, salt="other")]
    for second in others:
        assert abs(len(first & second) / len(crowd) - 0.20) < 0.01


def test_an_id_is_its_own_bytes() -> None:
    """E71: twins land where they land: no id is folded into another."""
    flag = vector_files.flag_from({"key": "ramp", "stage": "percentage", "percent": 50})
    rules = ruleset({"ramp": flag})
    for one, other in (("caf\u00e9", "cafe\u0301"), ("alice", "Alice"), ("alice", "alice\u200d"), ("1", "\uff11")):
        differ = [
            decide(rules, "ramp", Subject(f"{one}{n}")).value != decide(rules, "ramp", Subject(f"{other}{n}")).value
            for n in range(200)
        ]
        assert 60 < sum(differ) < 140


PROGRAM = """
import json, sys
sys.path[:0] = json.loads(sys.argv[1])
import hashlib, vector_files
from headgate.core.decision import decide
from headgate.core.model import Subject
from headgate.core.ruleset import ruleset
digest = hashlib.sha256()
for algorithm in ("sha256-v1", "posthog-v1"):
    flag = vector_files.flag_from({"key": "ramp", "stage": "percentage", "percent": 30, "algorithm": algorithm})
    rules = ruleset({"ramp": flag})
    for n in range(10_000):
        digest.update(b"1" if decide(rules, "ramp", Subject(f"user-{n}")).value else b"0")
print(digest.hexdigest())
"""


def test_every_process_gives_the_same_answers() -> None:
    """Children with other hash seeds, without this one's state."""
    here = hashlib.sha256()
    for algorithm in ("sha256-v1", "posthog-v1"):
        chosen = inside(30, algorithm=algorithm)
        here.update(b"".join(b"1" if person in chosen else b"0" for person in PEOPLE))
    for seed in ("0", "1", "4242"):
        child = subprocess.run(
            [sys.executable, "-c", PROGRAM, json.dumps(sys.path)],
            env={"PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True, timeout=60,
        )  # fmt: skip
        assert child.stdout.strip() == here.hexdigest()
