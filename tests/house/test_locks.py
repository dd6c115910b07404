"""Locks: every package is pinned by hash, to a version that was asked for, and the environments are made from them."""

import re
import subprocess
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
LAYER = ROOT / "layers" / "headgate" / "requirements.txt"
LOCKS = {path.stem: path for path in (ROOT / "locks").glob("*.txt")} | {"layer": LAYER}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
HASH = r"    --hash=sha256:[0-9a-f]{64}"
PIN = re.compile(rf"^([a-z0-9-]+)==(\S+)(?: ; [^\n]+)? \\\n(?:{HASH} \\\n)*{HASH}\n", re.MULTILINE)


def pins(name: str) -> dict[str, set[str]]:
    """The versions of each package in a lock: more than one if they depend on the Python version."""
    found: dict[str, set[str]] = {}
    for package, version in PIN.findall(LOCKS[name].read_text()):
        found.setdefault(package, set()).add(version)
    return found


def asked(name: str) -> list[Requirement]:
    """What a lock is made from."""
    project, groups = PROJECT["project"], PROJECT["dependency-groups"]
    extras = project["optional-dependencies"]
    wanted = {
        "layer": [line for line in LAYER.with_suffix(".in").read_text().splitlines() if not line.startswith("#")],
        "cli": project["dependencies"] + extras["local"] + groups["build"],
        "test": project["dependencies"] + extras["local"] + extras["test"],
    }
    return [Requirement(line) for line in wanted.get(name) or groups[name] if not line.startswith("headgate[")]


@pytest.mark.parametrize("name", sorted(LOCKS))
def test_a_lock_consists_of_hashed_pins(name: str) -> None:
    """No index, host, option, or comment: nothing is left beside the pins."""
    assert pins(name)
    assert PIN.sub("", LOCKS[name].read_text()) == ""


@pytest.mark.parametrize("name", sorted(LOCKS))
def test_a_lock_satisfies_what_was_asked_for(name: str) -> None:
    """It fails if `make lock` was not run after a change."""
    locked = pins(name)
    for requirement in asked(name):
        versions = locked.get(canonicalize_name(requirement.name), set())
        assert versions, f"{requirement.name} is not in the lock; run make lock"
        assert all(requirement.specifier.contains(version) for version in versions), f"{requirement}: {versions}"


def test_every_group_has_a_lock() -> None:
    assert LOCKS.keys() == {"layer", "cli", "test"} | PROJECT["dependency-groups"].keys() - {"build"}


@pytest.mark.parametrize(("inner", "outer"), [("layer", "cli"), ("layer", "test"), ("cli", "test")])
def test_the_locks_agree(inner: str, outer: str) -> None:
    """The tests and the command run on the versions that are deployed."""
    larger = pins(outer)
    assert {name: larger.get(name) for name in pins(inner)} == pins(inner)


def told(target: str) -> str:
    """What make would do for a target if nothing were done yet."""
    done = subprocess.run(["make", "-nB", target], capture_output=True, text=True, cwd=ROOT, check=True)
    return done.stdout


@pytest.mark.parametrize(
    ("target", "lock"),
    [(".venv/local.stamp", "cli"), (".venv/test.stamp", "test"), ("check", "test"), ("audit", "audit"),
     ("sbom", "audit"), ("lint-policies", "policies"), (".venv-node/stamp", "node")],
)  # fmt: skip
def test_an_environment_is_made_from_its_lock(target: str, lock: str) -> None:
    steps = told(target)
    assert f"--no-deps --require-hashes --only-binary :all: -r locks/{lock}.txt" in steps
    for step in re.findall(r"pip install.*", steps):
        assert "--require-hashes" in step or "--no-deps --no-build-isolation --editable ." in step


def test_the_audit_reads_every_lock_and_stops_at_what_it_could_not_look_up() -> None:
    """Without --strict, pip-audit exits 0 when the database has no answer about any package."""
    steps = told("audit")
    assert "pip-audit --strict" in steps
    assert all(f"-r {path.relative_to(ROOT)}" in steps for path in LOCKS.values())
