"""`headgate audit reconcile`: its output and exit code."""

import json
from typing import Any

import pytest

LINE = "GET /admin/v1/audit/reconcile"
HEAD = {"revision": 7, "digest": "a" * 64}
FINDING = {"what": "state-older", "record": "flag#f", "flag": "f", "revision": 7, "stored_version": 2,
           "recorded_version": 3}  # fmt: skip


def test_agreement_is_one_line(invoke: Any, upstream: Any, reply: Any) -> None:
    upstream.on(LINE, reply(body={"consistent": True, "findings": [], "total": 0, "head": HEAD}))
    done = invoke("audit", "reconcile")
    assert (done.exit_code, done.stdout) == (
        0, "consistent: the stored state matches the log up to revision 7\n"
    )  # fmt: skip


@pytest.mark.parametrize("as_json", [False, True], ids=["table", "json"])
def test_findings_are_shown_and_fail(invoke: Any, upstream: Any, reply: Any, as_json: bool) -> None:
    found = {"consistent": False, "findings": [FINDING], "total": 1, "head": HEAD}
    upstream.on(LINE, reply(body=found))
    done = invoke("audit", "reconcile", *(["--json"] if as_json else []))
    assert done.exit_code == 1
    assert "the stored state does not match the log" in done.stderr
    if as_json:
        assert json.loads(done.stdout) == found
    else:
        assert done.stdout.splitlines()[1].split() == ["state-older", "flag#f", "7", "2", "3"]


def test_unavailable_table_is_not_a_finding(invoke: Any, upstream: Any) -> None:
    """No server listens, and the API is not called."""
    done = invoke("audit", "reconcile", "--table", "t", env={"AWS_ENDPOINT_URL_DYNAMODB": "http://127.0.0.1:9"})
    assert done.exit_code == 7
    assert "cannot read table t" in done.stderr
    assert upstream.asked == []
