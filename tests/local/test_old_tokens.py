"""`headgate local --legacy FILE`: what the file must hold, and that nothing of the secret is told."""

import json
import secrets
import time
from pathlib import Path
from typing import Any

import pytest

from headgate.core.documents import rfc3339
from headgate_cli.failures import ExitCode, Failure
from headgate_cli.local.old_tokens import NAME, read_old_tokens

SECRET = secrets.token_hex(32)


def issuer(**members: Any) -> dict[str, Any]:
    soon = time.time() + 3_600
    claims = {"user": "kiloUserId", "access": "gastownAccess", "admin": "isAdmin"}
    said = {"algorithm": "HS256", "version": 3, "accept_until": rfc3339(soon), "issued_before": rfc3339(soon)}
    return {**said, "claims": claims, **members}


def test_the_file_becomes_parameters_and_a_secret(tmp_path: Path) -> None:
    file = tmp_path / "old.json"
    file.write_text(json.dumps({"issuer": issuer(), "secret": SECRET}))
    old = read_old_tokens(file)
    assert json.loads(old.parameters["LegacyIssuer"]).keys() == issuer().keys()
    assert old.stored["arn"].endswith(f":secret:{old.parameters['LegacySecret']}")
    assert old.stored == {"arn": f"arn:aws:secretsmanager:us-east-1:123456789012:secret:{NAME}", "text": SECRET}
    assert SECRET not in repr(old)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param("[]", id="list"),
        pytest.param(json.dumps({"secret": SECRET}), id="no issuer"),
        pytest.param(json.dumps({"issuer": issuer()}), id="no secret"),
        pytest.param(json.dumps({"issuer": issuer(), "secret": SECRET, "more": 1}), id="one more"),
        pytest.param(json.dumps({"issuer": issuer(), "secret": SECRET[:31]}), id="short secret"),
        pytest.param(json.dumps({"issuer": issuer(algorithm="none"), "secret": SECRET}), id="none"),
        pytest.param(json.dumps({"issuer": issuer(accept_until=None), "secret": SECRET}), id="for ever"),
        pytest.param(json.dumps({"issuer": issuer(accept_until="2999-01-01T00:00:00Z"), "secret": SECRET}), id="long"),
    ],
)
def test_what_is_wrong_is_wrong_usage(tmp_path: Path, text: str) -> None:
    file = tmp_path / "old.json"
    file.write_text(text)
    with pytest.raises(Failure) as caught:
        read_old_tokens(file)
    assert caught.value.exit_code is ExitCode.USAGE
    assert SECRET[:31] not in str(caught.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(Failure, match="cannot be read"):
        read_old_tokens(tmp_path / "none")
