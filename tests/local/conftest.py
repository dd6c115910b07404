"""The laptop mode under test: a small project of its own (`project/`), started once per test process."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from plain_client import Client

from headgate_cli.local.stack import Stack, running_stack

PROJECT = Path(__file__).parent / "project"


@pytest.fixture(scope="session")
def small() -> Iterator[Stack]:
    """The small project, running."""
    with running_stack(project=PROJECT) as stack:
        yield stack


@pytest.fixture(scope="session")
def call(small: Stack) -> Client:
    """A client of its API."""
    return Client(small.api)


@pytest.fixture(scope="session")
def idp(small: Stack) -> Client:
    """A client of its development identity provider."""
    return Client(small.idp)
