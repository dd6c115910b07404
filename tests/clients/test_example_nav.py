"""examples/react-nav: run as its README says, then its page built and kept open during a kill."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from example_folder import Example, copied
from node_scripts import need_node, talk
from running_gate import Gate, Person, until

from headgate_cli.local.stack import Stack, running_stack

ACCESS = "gastown-access"
SHUT = '<nav><a href="/">Home</a></nav>'
OPEN = '<nav><a href="/">Home</a><a href="/gastown">Gastown</a></nav>'


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """A fresh install: the reference manifest."""
    need_node()
    with running_stack() as running:
        yield running


@pytest.fixture(scope="module")
def gate(stack: Stack) -> Iterator[Gate]:
    """The client of that stack."""
    client = Gate(stack.ready)
    yield client
    client.http.close()


@pytest.fixture(scope="module")
def example(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Example:
    """The example, after the commands of its README."""
    nav = copied("react-nav", tmp_path_factory.mktemp("examples"), stack)
    (commands,) = nav.blocks()
    nav.run(commands)
    return nav


def test_readme_commands_work(example: Example) -> None:
    assert len((example.folder / "README.md").read_text().splitlines()) <= 25
    shown = until(lambda: example.shell("npm run --silent nav -- alice"), lambda html: html.strip() != SHUT)
    assert shown.strip() == OPEN


def test_gated_entries_are_hidden_without_an_answer(example: Example) -> None:
    nowhere = "http://127.0.0.1:1"
    shown = example.shell("npm run --silent nav -- root admin", HEADGATE_API=nowhere)
    assert shown.strip() == SHUT


def test_open_page_follows_the_gate_and_renews_its_token(
    example: Example, gate: Gate, node: Callable[..., Any]
) -> None:
    alice = Person("alice")
    document = {
        "bundle": str(example.folder / "dist" / "page.js"),
        "api": gate.api,
        "identityToken": gate.id_token(alice),
        "changes": 4,
    }
    gate.settled()
    with talk("browser_page.mjs", document, limit=60) as step:
        assert [step(), step()] == [SHUT, OPEN]  # before the first answer, and after it
        gate.kill(ACCESS)
        assert step() == SHUT
        gate.restore(ACCESS)
        assert step() == OPEN
        fetched = step()
    tokens = [call["status"] for call in fetched if call["path"] == "/v1/token"]
    polls = [call["status"] for call in fetched if call["path"] != "/v1/token"]
    assert len(tokens) > 1
    assert set(tokens) == {200}
    assert set(polls) == {200, 304}
