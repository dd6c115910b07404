"""The running stack: one for each file of tests, driven over HTTP only, so that no file sees what another changed.

`gate` is for tests that bring people and flags of their own. `fresh` first puts the reference manifest's flags back as
they were at the start (`admin_only`, no lists, not killed), for tests of those flags. A deleted key cannot come again:
a test's own flag has a new key, or is made by `gate.have`, which takes it over as the last test left it.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from running_gate import Gate, Person

from headgate_cli.local.stack import Stack, running_stack


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything here drives a whole stack."""
    for item in items:
        if "tests/system" in item.path.as_posix():
            item.add_marker(pytest.mark.system)


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """`headgate local` with the reference manifest, as a child process."""
    with running_stack() as running:
        yield running


@pytest.fixture(scope="module")
def seeded(stack: Stack) -> Mapping[str, Mapping[str, Any]]:
    """The flags as the manifest seeded them, before any test."""
    return Gate(stack.ready).flags()


@pytest.fixture(scope="module")
def gate(stack: Stack, seeded: Mapping[str, Mapping[str, Any]]) -> Iterator[Gate]:
    """The client of that stack."""
    client = Gate(stack.ready)
    yield client
    client.http.close()


@pytest.fixture
def fresh(gate: Gate, seeded: Mapping[str, Mapping[str, Any]]) -> Gate:
    """The client, with the flags as at the start. Evaluate may lag behind by up to 5 s: `gate.settled()` waits."""
    gate.reset(seeded)
    return gate


@pytest.fixture
def root() -> Person:
    """An admin."""
    return Person(admin=True)


@pytest.fixture
def alice() -> Person:
    """Somebody who is in no org and on no list."""
    return Person()
