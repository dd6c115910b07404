"""The running stack, driven over HTTP only: one that files share, or one of a file's own.

`gate` is for tests that create their own people and flags. `fresh` first resets the reference manifest's flags
(`admin_only`, no lists, not killed), for tests of those flags. A deleted key cannot be reused: a test's own flag has a
new key, or is made by `gate.have`, which accepts it as the last test left it.

A file that changes what others depend on (keys, the profile), counts everything, or fills the table (moto's
transactions slow down as a table grows) gets a stack of its own with the mark `own_stack`.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from running_gate import Gate, Person

from headgate_cli.local.stack import Stack, running_stack


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark everything here as driving a whole stack."""
    for item in items:
        if "tests/system" in item.path.as_posix():
            item.add_marker(pytest.mark.system)


Flags = Mapping[str, Mapping[str, Any]]


@pytest.fixture(scope="session")
def seeds() -> dict[str, Flags]:
    """The flags of each stack as its manifest seeded them, by the stack's URL."""
    return {}


@pytest.fixture(scope="session")
def shared(seeds: dict[str, Flags]) -> Iterator[Stack]:
    """`headgate local` with the reference manifest, as a child process: one for each xdist worker."""
    with running_stack() as running:
        seeds[running.api] = Gate(running.ready).flags()
        yield running


@pytest.fixture(scope="module")
def stack(request: pytest.FixtureRequest) -> Iterator[Stack]:
    """The shared stack, or one of the file's own."""
    if request.node.get_closest_marker("own_stack") is None:
        yield request.getfixturevalue("shared")
        return
    with running_stack() as running:
        yield running


@pytest.fixture(scope="module")
def seeded(stack: Stack, seeds: dict[str, Flags]) -> Flags:
    """The flags as the manifest seeded them, before any test."""
    if stack.api not in seeds:
        seeds[stack.api] = Gate(stack.ready).flags()
    return seeds[stack.api]


@pytest.fixture(scope="module")
def gate(stack: Stack, seeded: Flags) -> Iterator[Gate]:
    """The client of that stack."""
    client = Gate(stack.ready)
    yield client
    client.http.close()


@pytest.fixture
def fresh(gate: Gate, seeded: Flags) -> Gate:
    """The client, with the initial flags. Evaluate may lag by up to 5 s: `gate.settled()` waits."""
    gate.reset(seeded)
    return gate


@pytest.fixture
def root() -> Person:
    """An admin."""
    return Person(admin=True)


@pytest.fixture
def alice() -> Person:
    """A user in no org and on no list."""
    return Person()
