"""The npm packages installed here: exact versions, each with its digest, from the machine's configured registry."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

PROJECT = Path(__file__).parents[2]
LOCKS = sorted(path for path in PROJECT.glob("*/*/package-lock.json") if "node_modules" not in path.parts)
EXACT = re.compile(r"^\d+\.\d+\.\d+$")


def packages_in(lock: Path) -> dict[str, Any]:
    """The lock's packages by path; the folder's own is at ""."""
    packages: dict[str, Any] = json.loads(lock.read_text())["packages"]
    return packages


@pytest.fixture(params=LOCKS, ids=[lock.parent.name for lock in LOCKS])
def lock(request: pytest.FixtureRequest) -> Path:
    """Each lock file of the project."""
    path: Path = request.param
    return path


def test_lock_files_exist() -> None:
    assert {lock.parent.name for lock in LOCKS} >= {"clients", "react-nav", "workerd-middleware"}


def test_versions_are_exact_and_match_the_lock(lock: Path) -> None:
    named = json.loads((lock.parent / "package.json").read_text())
    for group in ("dependencies", "devDependencies"):
        wanted = named.get(group, {})
        assert not [version for version in wanted.values() if not EXACT.match(version)]
        assert packages_in(lock)[""].get(group, {}) == wanted


def test_every_package_has_a_digest_and_no_host(lock: Path) -> None:
    for place, package in packages_in(lock).items():
        assert not place or package["integrity"].startswith("sha512-"), place
        told = {name: value for name, value in package.items() if name != "funding"}
        assert "resolved" not in told, place
        assert "://" not in json.dumps(told), place


def test_no_package_has_an_install_script(lock: Path) -> None:
    settings = (lock.parent / ".npmrc").read_text().split()
    assert {"omit-lockfile-registry-resolved=true", "ignore-scripts=true"} <= set(settings)
    assert "://" not in "".join(settings)
