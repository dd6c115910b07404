"""The template under test: read once, translated once. Nothing here reaches a network or needs credentials."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from template_checks.deployment import EXAMPLE, TEMPLATE, Deployment, read_source


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "slow: takes seconds, not milliseconds; runs in CI like every other")


@pytest.fixture(scope="session")
def deployment() -> Deployment:
    return Deployment(read_source(TEMPLATE))


@pytest.fixture(scope="session")
def example() -> Deployment:
    """The example service, in its own stack."""
    return Deployment(read_source(EXAMPLE))
