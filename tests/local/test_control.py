"""The laptop's stand-in for the Lambda and CloudFormation control plane, through botocore clients."""

import http.client
import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore.exceptions import ClientError
from plain_client import Client

from headgate_cli.local.stack import Stack, running_stack

PROJECT = Path(__file__).parent / "project"
ECHO, GATE = "EchoFunction", "GateFunction"
Clients = Callable[..., Any]


@pytest.fixture(scope="module")
def own_stack() -> Iterator[Stack]:
    """A small project of this file's own, since its functions are changed."""
    with running_stack(project=PROJECT) as stack:
        yield stack


@pytest.fixture(scope="module")
def client(own_stack: Stack) -> Clients:
    """A client of a service, as one of the principals."""
    session = botocore.session.get_session()

    def make(service: str = "lambda", *, role: str = "emergency", secret: str | None = None) -> Any:
        keys = own_stack.ready[role]
        return session.create_client(
            service, region_name=own_stack.ready["region"], endpoint_url=own_stack.ready["control"],
            aws_access_key_id=keys["access_key_id"], aws_secret_access_key=secret or keys["secret_access_key"],
        )  # fmt: skip

    return make


@pytest.fixture(scope="module")
def api(client: Clients) -> Any:
    return client()


@pytest.fixture(scope="module")
def echo(own_stack: Stack) -> Client:
    return Client(own_stack.api)


def variables(api: Any, function: str, version: str | None = None) -> dict[str, str]:
    found = api.get_function_configuration(FunctionName=function, **({"Qualifier": version} if version else {}))
    return dict(found["Environment"]["Variables"])


def wait_until_updated(api: Any, function: str) -> None:
    deadline = time.monotonic() + 20
    while api.get_function_configuration(FunctionName=function)["LastUpdateStatus"] != "Successful":
        assert time.monotonic() < deadline


def set_variables(api: Any, function: str, told: dict[str, str]) -> dict[str, Any]:
    """Change the variables and wait until the change is in effect."""
    wait_until_updated(api, function)
    found: dict[str, Any] = api.update_function_configuration(FunctionName=function, Environment={"Variables": told})
    wait_until_updated(api, function)
    return found


def code_of(call: Callable[[], Any]) -> str:
    with pytest.raises(ClientError) as caught:
        call()
    return str(caught.value.response["Error"]["Code"])


def test_changed_variables_are_in_progress_until_a_fresh_environment_has_them(api: Any, echo: Client) -> None:
    held, before = variables(api, ECHO), echo("GET", "/open").document
    assert held.items() <= before["environment"].items()
    told = {"TABLE": held["TABLE"], "MORE": "1"}
    assert set_variables(api, ECHO, told)["LastUpdateStatus"] == "InProgress"
    after = echo("GET", "/open").document
    assert after["process"] != before["process"]
    assert (after["environment"]["MORE"], "OWN" in after["environment"]) == ("1", False)
    assert variables(api, ECHO) == told
    assert before["environment"].keys() - after["environment"].keys() == {"OWN", "KEYS"}


def test_old_environment_finishes_its_event(api: Any, echo: Client, own_stack: Stack) -> None:
    held = variables(api, ECHO)
    with ThreadPoolExecutor(3) as pool:
        slow = pool.submit(echo, "POST", "/open", {"print": "at work", "sleep": 1, "return": {"statusCode": 201}})
        deadline = time.monotonic() + 20
        while "at work" not in own_stack.logs.read_text():
            assert time.monotonic() < deadline
        api.update_function_configuration(FunctionName=ECHO, Environment={"Variables": held | {"NEXT": "1"}})
        waiting = [pool.submit(echo, "GET", "/open") for _ in range(2)]
        assert slow.result().status == 201
        assert [one.result().document["environment"]["NEXT"] for one in waiting] == ["1", "1"]


def test_change_with_a_stale_revision_is_rejected(api: Any) -> None:
    held = api.get_function_configuration(FunctionName=ECHO)
    set_variables(api, ECHO, {**held["Environment"]["Variables"], "A": "1"})
    stale = {"FunctionName": ECHO, "RevisionId": held["RevisionId"]}
    assert code_of(lambda: api.publish_version(**stale)) == "PreconditionFailedException"
    change = {**stale, "Environment": {"Variables": {}}}
    assert code_of(lambda: api.update_function_configuration(**change)) == "PreconditionFailedException"


def test_alias_serves_the_version_it_points_to(api: Any, echo: Client) -> None:
    def gate() -> int:
        return int(echo("GET", "/guarded", headers={"authorization": "Bearer yes"}).status)

    assert api.get_alias(FunctionName=GATE, Name="live")["FunctionVersion"] == "$LATEST"
    held = variables(api, GATE)
    made = api.publish_version(FunctionName=GATE, Description="as it is")
    assert made["Version"] == api.publish_version(FunctionName=GATE)["Version"] == "1", "the function is unchanged"
    api.update_alias(FunctionName=GATE, Name="live", FunctionVersion="1")
    set_variables(api, GATE, {"PYTHONHOME": "nowhere"})
    assert variables(api, GATE, "1") == held
    assert gate() == 200, "the version that the alias points to"
    api.update_alias(FunctionName=GATE, Name="live", FunctionVersion="$LATEST", Description="back")
    assert gate() == 500, "the newest version, which cannot start"
    tell_back = {"FunctionName": GATE, "Environment": {"Variables": held}}
    wait_until_updated(api, GATE)
    api.update_function_configuration(**tell_back)
    wait_until_updated(api, GATE)
    assert gate() == 200


def test_waiting_event_gets_the_next_environment(api: Any, echo: Client) -> None:
    held = variables(api, GATE)
    set_variables(api, GATE, {**held, "ANOTHER": "1"})
    version = api.publish_version(FunctionName=GATE)["Version"]
    set_variables(api, GATE, held)
    with ThreadPoolExecutor(4) as pool:
        waiting = []
        for stands_on in (version, "$LATEST") * 3:
            api.update_alias(FunctionName=GATE, Name="live", FunctionVersion=stands_on)
            waiting.append(pool.submit(echo, "GET", "/guarded", headers={"authorization": "Bearer yes"}))
        assert {one.result().status for one in waiting} == {200}


def test_unknown_resource_is_not_found(api: Any, client: Clients) -> None:
    missing = "ResourceNotFoundException"
    assert code_of(lambda: api.get_alias(FunctionName=ECHO, Name="live")) == missing
    assert code_of(lambda: api.get_alias(FunctionName=GATE, Name="other")) == missing
    assert code_of(lambda: variables(api, GATE, "9")) == missing
    unknown = {"FunctionName": GATE, "Name": "live", "FunctionVersion": "9"}
    assert code_of(lambda: api.update_alias(**unknown)) == missing
    stacks = client("cloudformation")
    for stack, name in (("headgate-local", "Table"), ("another", ECHO)):
        asked = {"StackName": stack, "LogicalResourceId": name}
        assert code_of(lambda: stacks.describe_stack_resource(**asked)) == "ValidationError"  # noqa: B023
    found = stacks.describe_stack_resource(StackName="headgate-local", LogicalResourceId=ECHO)
    assert found["StackResourceDetail"]["PhysicalResourceId"] == ECHO


def test_caller_without_permission_is_denied(client: Clients, own_stack: Stack) -> None:
    forged, viewer = client(secret="made up"), client(role="viewer")
    assert code_of(lambda: variables(forged, ECHO)) == "InvalidSignatureException"
    assert code_of(lambda: variables(viewer, ECHO)) == "AccessDeniedException"
    assert code_of(lambda: variables(client(), "DataFunction")) == "AccessDeniedException"
    stacks = client("cloudformation", role="viewer")
    asked = {"StackName": "headgate-local", "LogicalResourceId": ECHO}
    assert code_of(lambda: stacks.describe_stack_resource(**asked)) == "AccessDeniedException"
    connection = http.client.HTTPConnection(str(own_stack.ready["control"]).removeprefix("http://"))
    own_path = f"/2015-03-31/functions/{ECHO}/configuration"
    calls = ("GET", "/else", 404), ("DELETE", own_path, 404), ("GET", own_path, 403), ("POST", "/", 403)
    for method, path, status in calls:
        connection.request(method, path, body=b"" if method == "POST" else None)
        answer = connection.getresponse()
        text = answer.read()
        assert (answer.status, b"Traceback" in text) == (status, False)
        assert path == "/" or json.loads(text)["Message"]
