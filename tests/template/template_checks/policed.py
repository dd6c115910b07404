"""A DynamoDB client that may do only what a function's policies allow, judged as IAM judges.

It reads the statements that the template gives a function; it knows no rule of this project.
Source: IAM User Guide, "Policy evaluation logic" and "Multivalued context keys"; DynamoDB Developer Guide,
"IAM policy conditions for fine-grained access control" and "Using IAM with DynamoDB transactions".
"""

from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Any

from botocore.exceptions import ClientError
from template_checks.deployment import Deployment, Raw, listed

_LEADING = "dynamodb:LeadingKeys"
_SINGLE = {"get_item": "GetItem", "put_item": "PutItem", "update_item": "UpdateItem", "delete_item": "DeleteItem"}


class Policed:
    """`table` is the logical id of the table that the client is pointed at."""

    def __init__(self, client: Any, deployment: Deployment, function: str, table: str = "Table") -> None:
        self._client, self._statements = client, deployment.statements(function)
        self._resource = {"Fn::GetAtt": [table, "Arn"]}
        self.used: set[str] = set()

    def __getattr__(self, operation: str) -> Any:
        def call(**request: Any) -> Any:
            for action, keys in _asked(operation, request):
                self.used.add(action)
                if not self.may(action, keys):
                    error = {"Code": "AccessDeniedException", "Message": f"{action} on {sorted(keys)}"}
                    raise ClientError({"Error": error}, operation)
            return getattr(self._client, operation)(**request)

        return call

    def may(self, action: str, keys: set[str]) -> bool:
        """Whether the action is allowed on these partition keys: an explicit Deny wins, else an Allow is needed."""
        effects = {s["Effect"] for s in self._statements if self._covers(s, action, keys)}
        return effects == {"Allow"}

    def _covers(self, statement: Raw, action: str, keys: set[str]) -> bool:
        return (
            action in listed(statement.get("Action", []))
            and self._resource in listed(statement.get("Resource", []))
            and all(_holds(test, values, keys) for test, values in statement.get("Condition", {}).items())
        )


def _holds(test: str, values: Raw, keys: set[str]) -> bool:
    (wanted,) = [values[_LEADING]]
    if test == "Null":
        return (wanted == "true") == (not keys)
    matches = [any(fnmatchcase(key, pattern) for pattern in listed(wanted)) for key in keys]
    return {"ForAllValues:StringLike": all, "ForAnyValue:StringLike": any}[test](matches)


def _asked(operation: str, request: Raw) -> Iterator[tuple[str, set[str]]]:
    """Each action that a request needs, with the partition keys that it touches."""
    if operation in _SINGLE:
        yield f"dynamodb:{_SINGLE[operation]}", {(request.get("Key") or request["Item"])["pk"]["S"]}
    elif operation == "batch_get_item":
        (asked,) = request["RequestItems"].values()
        yield "dynamodb:BatchGetItem", {key["pk"]["S"] for key in asked["Keys"]}
    elif operation == "query":
        yield "dynamodb:Query", {request["ExpressionAttributeValues"][":pk"]["S"]}
    elif operation == "transact_write_items":
        kinds = {
            "Put": "PutItem",
            "Update": "UpdateItem",
            "Delete": "DeleteItem",
            "ConditionCheck": "ConditionCheckItem",
        }
        for item in request["TransactItems"]:
            ((kind, body),) = item.items()
            yield f"dynamodb:{kinds[kind]}", {(body.get("Key") or body["Item"])["pk"]["S"]}
    else:
        yield f"dynamodb:{operation}", set()
