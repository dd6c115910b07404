"""The real OpenFeature clients and JWT libraries against one running stack with flags at every stage.

Node is needed. Without it these tests are skipped, on a CI machine (CI=true) they fail: there nobody reads skips.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from node_scripts import install, need_node, run_script
from running_gate import Gate, Person

from headgate_cli.local.stack import Stack, running_stack

PROJECT = Path(__file__).parents[2]
RULES = Path(__file__).with_name("rules.yaml")
ORIGIN = "http://localhost:5173"
"""Where the page of the web clients lives."""
NO_ORIGINS = 'CorsOrigins:\n    Type: String\n    Default: ""'


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything here drives a whole stack."""
    for item in items:
        if "tests/clients" in item.path.as_posix():
            item.add_marker(pytest.mark.system)


@pytest.fixture(scope="session")
def node() -> Callable[..., Any]:
    """Runs a script of tests/clients/scripts: its name, a JSON document in, a JSON document out."""
    need_node()
    install()
    return run_script


@pytest.fixture(scope="session")
def browser_project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project with a browser origin in its template's `CorsOrigins`: what a deployment sets as a parameter."""
    folder = tmp_path_factory.mktemp("project")
    template = (PROJECT / "template.yaml").read_text()
    assert template.count(NO_ORIGINS) == 1
    (folder / "template.yaml").write_text(template.replace(NO_ORIGINS, NO_ORIGINS.replace('""', ORIGIN)))
    for name in ("functions", "layers", "gastown.yaml"):
        (folder / name).symlink_to(PROJECT / name)
    return folder


@pytest.fixture(scope="session")
def stack(browser_project: Path) -> Iterator[Stack]:
    """`headgate local` with the rules of rules.yaml and one browser origin, as a child process."""
    with running_stack(project=browser_project, manifest=RULES) as running:
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
def listed() -> Person:
    """Somebody on the access flag's list."""
    return Person("listed-0")


@pytest.fixture(scope="session")
def origin() -> str:
    """The page's origin."""
    return ORIGIN
