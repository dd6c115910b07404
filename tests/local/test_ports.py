"""No web page can use a port of the laptop: each needs its own host name, and DynamoDB, KMS, and functions a secret."""

import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import botocore.session
import pytest
from botocore.exceptions import ClientError
from plain_client import Answer, Client

from headgate_cli.local.sigv4 import Signable, sign
from headgate_cli.local.stack import Stack

FOREIGN = ("evil.example", "evil.example:80", "127.0.0.1.evil.example", "evil.example@127.0.0.1", "[::1]", "")
NEXT = "/2018-06-01/runtime/invocation/next"
LIST = {"x-amz-target": "DynamoDB_20120810.ListTables", "content-type": "application/x-amz-json-1.0"}
FORM = {"content-type": "application/x-www-form-urlencoded"}


@pytest.fixture(scope="module")
def variables(call: Client) -> dict[str, str]:
    """The variables of a function."""
    found: dict[str, str] = call("GET", "/open").document["environment"]
    return found


def signed(variables: dict[str, str], host: str, *, secret: str | None = None, service: str = "dynamodb") -> Answer:
    """A call to DynamoDB, signed."""
    headers = {"host": host, **LIST}
    signature = sign(
        Signable("POST", "/", "", tuple(headers.items()), b"{}"),
        key_id=variables["AWS_ACCESS_KEY_ID"], secret=secret or variables["AWS_SECRET_ACCESS_KEY"],
        region="us-east-1", now=datetime.now(UTC), service=service,
    )  # fmt: skip
    return Client(variables["AWS_ENDPOINT_URL"])("POST", "/", b"{}", {**headers, **signature})


def runtime(variables: dict[str, str]) -> tuple[Client, str]:
    netloc, _, secret = variables["AWS_LAMBDA_RUNTIME_API"].partition("/")
    return Client(f"http://{netloc}"), secret


@pytest.mark.parametrize("host", FOREIGN)
def test_another_host_name_is_refused_at_every_port(small: Stack, variables: dict[str, str], host: str) -> None:
    named = {"host": host}
    functions, secret = runtime(variables)
    answers = {
        "api": Client(small.api)("GET", "/open", headers=named),
        "idp": Client(small.idp)("POST", "/token", b"sub=root&admin=true", {**FORM, **named}),
        "control": Client(small.ready["control"])("GET", "/", headers=named),
        "functions": functions("GET", f"/{secret}{NEXT}", headers=named),
        "dynamodb": signed(variables, host),
    }
    assert {name for name, answer in answers.items() if answer.status not in (400, 403)} == set()
    assert signed(variables, urlsplit(variables["AWS_ENDPOINT_URL"]).netloc).status == 200


@pytest.mark.parametrize("secret", ["", "/", "/wrong", "/wrong/"])
@pytest.mark.parametrize(("method", "path"), [("GET", NEXT), ("POST", "/2018-06-01/runtime/init/error")])
def test_runtime_api_needs_the_runs_secret(variables: dict[str, str], secret: str, method: str, path: str) -> None:
    functions, right = runtime(variables)
    assert functions(method, secret + path).status == 403
    assert len(right) >= 32


def test_dynamodb_and_kms_need_a_signature_of_this_run(small: Stack, variables: dict[str, str]) -> None:
    host = urlsplit(variables["AWS_ENDPOINT_URL"]).netloc
    client = Client(variables["AWS_ENDPOINT_URL"])
    for headers in (LIST, {**LIST, "x-amz-target": "TrentService.ListKeys"}):
        answer = client("POST", "/", b"{}", headers)
        assert (answer.status, json.loads(answer.body)["__type"]) == (400, "UnrecognizedClientException")
    assert signed(variables, host, secret="local-only").status == 400
    assert signed(variables, host, service="kms").status == 400


@pytest.mark.parametrize("role", ["admin", "viewer"])
def test_only_the_printed_keys_read_the_printed_table(small: Stack, role: str) -> None:
    """The exports that `headgate local` prints are enough for a service that reads the table."""
    keys = small.ready[role]
    dynamodb: Any = botocore.session.get_session().create_client(
        "dynamodb", region_name=small.ready["region"], endpoint_url=small.ready["dynamodb"],
        aws_access_key_id=keys["access_key_id"], aws_secret_access_key=keys["secret_access_key"],
    )  # fmt: skip
    asked = {"TableName": small.ready["table"], "Key": {"pk": {"S": "manifest"}, "sk": {"S": "-"}}}
    if role == "admin":
        assert "Item" in dynamodb.get_item(**asked)
    else:
        with pytest.raises(ClientError, match="UnrecognizedClientException"):
            dynamodb.get_item(**asked)
