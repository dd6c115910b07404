"""Fixtures that more than one folder of tests uses."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from identity_site import Provider
from moto.server import ThreadedMotoServer
from proofs import EXAMPLES, PROFILE, Tally, table
from stand import Stand

TESTS = Path(__file__).parent

for name, examples in EXAMPLES.items():
    settings.register_profile(name, max_examples=examples, deadline=None, print_blob=True)
settings.load_profile(PROFILE)

SLOW = ("system", "store", "clients", "house", "cli", "edge", "template")
"""The folders whose files take longest. They are begun first, so that no worker ends with a long file of its own."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The slow folders first; within a folder, the order stays."""
    ranks = {folder: rank for rank, folder in enumerate(SLOW)}
    items.sort(key=lambda item: ranks.get(item.path.relative_to(TESTS).parts[0], len(SLOW)))


@pytest.fixture(scope="module")
def admin_identity() -> Iterator[tuple[str, str]]:
    """An identity provider on loopback: its issuer, and an identity token of an admin."""
    provider = Provider()
    yield provider.base, provider.token(time.time(), sub="ada", aud="example", admin=True)
    provider.close()


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    """moto on a socket: its address."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    yield "http://{}:{}".format(*server.get_host_and_port())
    server.stop()


@pytest.fixture(scope="module")
def stand(admin_identity: tuple[str, str], moto: str) -> Iterator[Stand]:
    """The functions before moto. The environment is put back afterwards."""
    before = dict(os.environ)
    try:
        yield Stand(moto, *admin_identity)
    finally:
        os.environ.clear()
        os.environ.update(before)


@pytest.fixture
def tally(request: pytest.FixtureRequest) -> Tally:
    """Counts what a proof went through."""
    mark = request.node.get_closest_marker("proof")
    return Tally(mark.args[0], request.node.user_properties)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The table of what was proved."""
    called = [report for kind in ("passed", "failed") for report in terminalreporter.getreports(kind)]
    lines = list(table(report for report in called if report.when == "call"))
    if lines:
        terminalreporter.section("proofs")
        for line in lines:
            terminalreporter.line(line)
