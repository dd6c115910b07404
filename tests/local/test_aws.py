"""DynamoDB and KMS on a laptop: the template's tables and keys, one request at a time, loopback only."""

import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from moto_child import running_dynamodb
from plain_client import Client

from headgate_cli.local.aws import EndpointRefused, dynamodb_endpoint
from headgate_cli.local.stack import StackFailed, running_stack

PROJECT = Path(__file__).parent / "project"


def test_keys_exist_under_the_ids_in_the_functions_variables(call: Client) -> None:
    told = call("GET", "/open").document["environment"]["KEYS"].split(",")
    answer = call("POST", "/sign").document
    assert answer["key"] in told
    assert answer["length"] in range(68, 73)  # an ECDSA signature in DER


def test_table_exists_and_loses_no_writes(call: Client) -> None:
    before = call("POST", "/count").document["count"]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: call("POST", "/count"), range(40)))
    assert sorted(answer.document["count"] for answer in answers) == list(range(before + 1, before + 41))


@pytest.mark.parametrize(
    ("environ", "endpoint"),
    [
        ({}, ""),
        ({"AWS_ENDPOINT_URL": ""}, ""),
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:8000"}, "http://127.0.0.1:8000"),
        (
            {"AWS_ENDPOINT_URL": "http://localhost:8000", "AWS_ENDPOINT_URL_DYNAMODB": "http://[::1]:1"},
            "http://[::1]:1",
        ),
    ],
)
def test_given_endpoint_is_used(environ: dict[str, str], endpoint: str) -> None:
    assert dynamodb_endpoint(environ) == endpoint


@pytest.mark.parametrize(
    "url",
    [
        "https://dynamodb.us-east-1.amazonaws.com",
        "http://dynamodb.us-east-1.amazonaws.com",
        "http://10.0.0.1:8000",
        "http://127.0.0.1.evil.example",
        "http://127.0.0.1@evil.example",
        "http://evil.example#127.0.0.1",
        "https://127.0.0.1:8000",
        "ftp://127.0.0.1",
        "127.0.0.1:8000",
    ],
)
@pytest.mark.parametrize("name", ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_DYNAMODB"])
def test_endpoint_outside_loopback_is_rejected(name: str, url: str) -> None:
    with pytest.raises(EndpointRefused):
        dynamodb_endpoint({name: url})


def test_endpoint_outside_loopback_stops_the_start() -> None:
    with pytest.raises(StackFailed, match="loopback"):  # noqa: SIM117
        with running_stack(project=PROJECT, env={"AWS_ENDPOINT_URL": "http://dynamodb.example"}):
            pass


def test_unavailable_dynamodb_stops_the_start() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
    with pytest.raises(StackFailed, match=f"DynamoDB at {url}") as failed:  # noqa: SIM117
        with running_stack(project=PROJECT, env={"AWS_ENDPOINT_URL_DYNAMODB": url}):
            pass
    assert "exited with 7" in str(failed.value)


def test_second_stack_on_the_same_dynamodb_sees_its_data() -> None:
    """As with DynamoDB Local, or a proxy that injects faults: existing tables are kept."""
    with running_dynamodb() as endpoint:
        variables = {"AWS_ENDPOINT_URL_DYNAMODB": endpoint}
        with running_stack(project=PROJECT, env=variables) as first:
            count = Client(first.api)("POST", "/count").document["count"]
        with running_stack(project=PROJECT, env=variables) as second:
            other = Client(second.api)
            assert other("POST", "/count").document["count"] == count + 1
            found = other("GET", "/open").document["environment"]
            assert found["AWS_ENDPOINT_URL_DYNAMODB"] == endpoint == second.ready["dynamodb"]
            assert found["AWS_ENDPOINT_URL"] != endpoint  # KMS is separate
            assert other("POST", "/sign").status == 200
