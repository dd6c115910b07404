"""AWS Lambda's API for one function, as the gate's commands use it."""

from collections.abc import Callable, Mapping
from typing import Any

from botocore.exceptions import ClientError

from headgate_cli.emergency.functions import Functions
from headgate_cli.emergency.variables import KILL, ROUTES

OWN = {"HEADGATE_TABLE": "t", KILL: "", ROUTES: ""}


class Lambda:
    """A Lambda function with an alias, per the API reference, with faults.

    `slow`: reads until a change has finished. `pending`: reads until a version is active. `others`: concurrent writes
    by others. `failed`: why a change is rejected. `before` is called at the start of each call.
    """

    def __init__(self, *, slow: int = 0, pending: int = 0, others: int = 0, failed: str = "") -> None:
        self.slow, self.pending, self.others, self.failed = slow, pending, others, failed
        self.variables: dict[str, str] = dict(OWN)
        self.revision, self._busy, self._reason = 0, 0, ""
        self.versions: list[dict[str, str]] = []
        self.alias: dict[str, Any] = {"Name": "live", "FunctionVersion": "$LATEST", "RevisionId": "0"}
        self.paused: list[float] = []
        self.before: Callable[[], None] = lambda: None

    def get_function_configuration(self, FunctionName: str, Qualifier: str = "") -> dict[str, Any]:  # noqa: ARG002, N803
        self.before()
        if Qualifier:
            state, self.pending = "Pending" if self.pending else "Active", max(0, self.pending - 1)
            return {"State": state, "Environment": {"Variables": self.versions[int(Qualifier) - 1]}}
        found: dict[str, Any] = {"RevisionId": str(self.revision), "LastUpdateStatus": "Successful"}
        if self._busy:
            self._busy -= 1
            found["LastUpdateStatus"] = "InProgress"
        elif self._reason:
            found |= {"LastUpdateStatus": "Failed", "LastUpdateStatusReasonCode": self._reason}
        return found | {"Environment": {"Variables": dict(self.variables)}}

    def update_function_configuration(
        self, FunctionName: str, Environment: Mapping[str, dict[str, str]], RevisionId: str  # noqa: ARG002, N803
    ) -> None:  # fmt: skip
        self.before()
        self._guard(RevisionId)
        if self._busy:
            raise error("ResourceConflictException")
        self.revision += 1
        self.variables, self._busy, self._reason = Environment["Variables"], self.slow, self.failed

    def publish_version(self, FunctionName: str, Description: str, RevisionId: str) -> dict[str, str]:  # noqa: ARG002, N803
        self.before()
        self._guard(RevisionId)
        if not self.versions or self.versions[-1] != self.variables:
            self.versions.append(dict(self.variables))
        return {"Version": str(len(self.versions))}

    def get_alias(self, FunctionName: str, Name: str) -> dict[str, Any]:  # noqa: ARG002, N803
        self.before()
        return dict(self.alias)

    def update_alias(self, FunctionName: str, RevisionId: str = "", **members: Any) -> dict[str, Any]:  # noqa: ARG002, N803
        self.before()
        if RevisionId not in ("", self.alias["RevisionId"]):
            raise error("PreconditionFailedException")
        if members["FunctionVersion"] == "$LATEST" and members.get("RoutingConfig", {}).get("AdditionalVersionWeights"):
            raise error("InvalidParameterValueException")
        self.alias |= members | {"RevisionId": str(int(self.alias["RevisionId"]) + 1)}
        return dict(self.alias)

    def serving(self) -> list[dict[str, str]]:
        """The variables of every version that gets requests."""
        shares = self.alias.get("RoutingConfig", {}).get("AdditionalVersionWeights", {})
        found = (self.alias["FunctionVersion"], *shares)
        return [self.variables if one == "$LATEST" else self.versions[int(one) - 1] for one in found]

    def deploy(self, **variables: str) -> None:
        """What a deployment does to the function: new code, and the variables of the template. Not to the alias."""
        self.variables, self.revision = {**OWN, "CODE": str(self.revision), **variables}, self.revision + 1

    def _guard(self, revision: str) -> None:
        if self.others:
            self.others -= 1
            self.revision += 1
            self.variables = {**self.variables, f"OTHERS_{self.others}": "1"}
        if revision != str(self.revision):
            raise error("PreconditionFailedException")

    @property
    def functions(self) -> Functions:
        return Functions(self, pause=self.paused.append, patience=5)


def error(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "no"}}, "Operation")
