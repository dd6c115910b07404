"""The real OpenFeature clients and JWT libraries against one running stack with flags at every stage.

Node is required. Without it these tests are skipped; on a CI machine (CI=true) they fail, since skips go unnoticed.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from node_scripts import install, need_node, run_script
from running_gate import Gate

from headgate_cli.local.stack import Stack, running_stack

RULES = Path(__file__).with_name("rules.yaml")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark everything here as driving a whole stack."""
    for item in items:
        if "tests/clients" in item.path.as_posix():
            item.add_marker(pytest.mark.system)


@pytest.fixture(scope="session")
def node() -> Callable[..., Any]:
    """Run a script of tests/clients/scripts: its name, a JSON document in, a JSON document out."""
    need_node()
    install()
    return run_script


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """`headgate local` with the rules of rules.yaml, as a child process."""
    with running_stack(manifest=RULES) as running:
        yield running


@pytest.fixture(scope="session")
def gate(stack: Stack) -> Iterator[Gate]:
    """The client of that stack, with gastown-molecules killed."""
    client = Gate(stack.ready)
    client.kill("gastown-molecules")
    client.settled()
    yield client
    client.http.close()


@pytest.fixture(scope="session")
def origin(stack: Stack) -> str:
    """A page origin that may call the API: the laptop mode allows the development identity provider's page."""
    return stack.idp
