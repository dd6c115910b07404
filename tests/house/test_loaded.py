"""Each function loads only what it uses: seen in a fresh process, after the function has started."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ENVIRONMENT = {
    "HEADGATE_TABLE": "t", "HEADGATE_SIGNING_KEYS": "one,two", "HEADGATE_AUDIENCE": "headgate",
    "HEADGATE_IDENTITY_ISSUERS": "[]", "WORKER_TABLE": "w", "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local",
}  # fmt: skip
NOT_FOR = {
    "authorizer": (
        "pydantic",
        "jwt",
        "aws_lambda_powertools",
        "boto3",
        "openfeature",
        "headgate.edge.admin",
        "headgate.edge.legacy",
        "headgate.store.secret",
        "headgate.tokens.legacy",
    ),
    "evaluate": ("pydantic", "jwt", "aws_lambda_powertools", "boto3", "openfeature", "headgate.edge.admin"),
    "token": ("pydantic", "aws_lambda_powertools", "boto3", "openfeature", "headgate.edge.admin"),
    "admin": ("headgate.tokens", "headgate.openapi.document", "jwt", "aws_lambda_powertools", "boto3", "openfeature"),
    "worker": ("pydantic", "jwt", "headgate.tokens", "headgate.core.decision", "boto3", "openfeature"),
}


@pytest.mark.parametrize("function", NOT_FOR)
def test_a_function_does_not_load(function: str) -> None:
    script = "import app, json, sys; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT / "functions" / function, env={**os.environ, **ENVIRONMENT},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    loaded = set(json.loads(done.stdout))
    assert {name for name in NOT_FOR[function] if name in loaded} == set()
