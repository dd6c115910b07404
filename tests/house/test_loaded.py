"""Each function loads only what it uses, as seen in a fresh process after the function has started."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ENVIRONMENT = {
    "HEADGATE_TABLE": "t", "HEADGATE_SIGNING_KEYS": "one,two", "HEADGATE_AUDIENCE": "headgate",
    "HEADGATE_IDENTITY_ISSUERS": "[]", "GASTOWN_TABLE": "w", "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local", "HEADGATE_AUDIT_KEY": "audit",
    "HEADGATE_WEBHOOK_URL": "https://example.com", "HEADGATE_WEBHOOK_SECRET_ARN": "arn", "HEADGATE_ISSUER": "i",
    "HEADGATE_CHECKPOINT_BUCKET": "kept",
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
        "headgate.edge.openfeature",
        "opentelemetry",
    ),
    "evaluate": (
        *("pydantic", "jwt", "aws_lambda_powertools", "boto3", "openfeature", "headgate.edge.admin", "opentelemetry"),
    ),
    "token": (
        *("pydantic", "aws_lambda_powertools", "boto3", "openfeature", "headgate.edge.admin", "opentelemetry"),
        "headgate.edge.openfeature",
    ),
    "admin": ("headgate.tokens", "headgate.openapi.document", "jwt", "boto3", "openfeature"),
    "publish": ("pydantic", "jwt", "cryptography", "botocore", "aws_lambda_powertools", "headgate.edge.admin"),
    "webhook": ("pydantic", "jwt", "headgate.tokens.keys", "aws_lambda_powertools", "headgate.edge.admin"),
    "checkpoint": ("pydantic", "jwt", "aws_lambda_powertools", "headgate.edge.admin"),
    "worker": (
        "pydantic",
        "jwt",
        "headgate.tokens",
        "headgate.store",
        "headgate.core.decision",
        "boto3",
        "openfeature",
    ),
}
EXAMPLE = {"gastown": ("pydantic", "jwt", "headgate.tokens", "headgate.core.decision", "boto3", "openfeature")}
FOLDERS = {name: f"functions/{name}" for name in NOT_FOR} | {name: f"examples/{name}" for name in EXAMPLE}
FORBIDDEN = NOT_FOR | EXAMPLE


@pytest.mark.parametrize("function", FORBIDDEN)
def test_function_does_not_load(function: str) -> None:
    loaded = modules(function)
    assert {name for name in FORBIDDEN[function] if name in loaded} == set()


@pytest.mark.parametrize(("function", "module"), [("worker", "event_handler"), ("admin", "metrics")])
def test_a_function_uses_powertools(function: str, module: str) -> None:
    assert f"aws_lambda_powertools.{module}" in modules(function)


def modules(function: str) -> set[str]:
    """The modules that a fresh process has loaded once the function has started."""
    script = "import app, json, sys; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT / FOLDERS[function], env={**os.environ, **ENVIRONMENT},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return set(json.loads(done.stdout))
