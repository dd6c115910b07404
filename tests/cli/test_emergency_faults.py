"""`headgate emergency` when Lambda is slow, others change the functions, or a change fails: nothing is lost."""

from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError
from lambda_api import OWN, Lambda, error

from headgate_cli.emergency.functions import ATTEMPTS, EVERY, Functions
from headgate_cli.emergency.variables import KILL


def test_slow_change_is_waited_for() -> None:
    slow = Lambda(slow=4)
    report = slow.functions.kill("f", "*", None, "why")
    assert report.failure == ""
    assert slow.paused == [EVERY] * 4
    assert slow.versions == [{**OWN, KILL: "*"}]
    assert slow.alias["FunctionVersion"] == "1"


def test_pending_version_is_waited_for() -> None:
    slow = Lambda(pending=3)
    assert slow.functions.kill("f", "*", None, "why").failure == ""
    assert slow.paused == [EVERY] * 3
    assert slow.alias["FunctionVersion"] == "1"


def test_endless_change_times_out_and_the_alias_stays() -> None:
    stuck = Lambda(slow=1_000)
    report = stuck.functions.kill("f", "*", None, "why")
    assert "still in progress after 5 s" in report.failure
    assert (stuck.versions, stuck.alias["FunctionVersion"]) == ([], "$LATEST")
    assert [name for name, _ in report.steps] == ["variables"]


def test_concurrent_changes_are_reread_and_kept() -> None:
    shared = Lambda(others=2)
    report = shared.functions.kill("f", "*", None, "why")
    assert report.failure == ""
    assert shared.variables == {**OWN, KILL: "*", "OTHERS_0": "1", "OTHERS_1": "1"}
    assert shared.versions == [shared.variables]


def test_endless_concurrent_changes_are_reported() -> None:
    shared = Lambda(others=ATTEMPTS)
    assert shared.functions.kill("f", "*", None, "why").failure == "it keeps being changed by others"
    assert shared.functions.kill("f", "*", None, "why").failure == "", "the same command continues"


def test_change_rejected_by_lambda_is_reported_and_retried() -> None:
    bad = Lambda(failed="DisabledKMSKey")
    assert "DisabledKMSKey" in bad.functions.kill("f", "*", None, "why").failure
    assert (bad.versions, bad.alias["FunctionVersion"]) == ([], "$LATEST")
    bad.failed = ""
    assert bad.functions.kill("f", "*", None, "why").failure == ""
    assert (bad.revision, bad.alias["FunctionVersion"]) == (2, "1")


@pytest.mark.parametrize(
    ("environment", "says"),
    [({"Error": {"ErrorCode": "KMSDisabled"}}, "KMSDisabled"), ({"Variables": {"A": "1"}}, KILL), ({}, KILL)],
)
def test_unreadable_variables_are_not_overwritten(environment: dict[str, Any], says: str) -> None:
    class Closed(Lambda):
        def get_function_configuration(self, FunctionName: str, Qualifier: str = "") -> dict[str, Any]:  # noqa: N803
            return super().get_function_configuration(FunctionName, Qualifier) | {"Environment": environment}

    closed = Closed()
    assert says in closed.functions.kill("f", "*", None, "why").failure
    assert says in closed.functions.lift("f", "why").failure
    assert (closed.revision, closed.alias["FunctionVersion"]) == (0, "$LATEST")


@pytest.mark.parametrize("failure", [error("AccessDeniedException"), EndpointConnectionError(endpoint_url="x")])
@pytest.mark.parametrize("call", ["get_function_configuration", "publish_version", "get_alias", "update_alias"])
def test_failed_call_is_reported_and_the_same_command_continues(call: str, failure: Exception) -> None:
    function = Lambda()

    class Broken:
        def __getattr__(self, name: str) -> Any:
            def fail(**_arguments: Any) -> None:
                raise failure

            return fail if name == call else getattr(function, name)

    report = Functions(Broken(), pause=function.paused.append).kill("f", "*", None, "why")
    assert type(failure).__name__ in report.failure or "AccessDenied" in report.failure
    assert function.alias["FunctionVersion"] == "$LATEST"
    again = function.functions.kill("f", "*", None, "why")
    assert again.failure == ""
    assert function.versions[-1] == {**OWN, KILL: "*"}
    assert function.alias["FunctionVersion"] == str(len(function.versions))
    assert function.functions.kill("f", "*", None, "why").steps == []
