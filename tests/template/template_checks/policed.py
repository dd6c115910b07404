"""A client of DynamoDB or KMS that enforces a function's IAM policies, evaluated as IAM does.

It reads the statements that the template gives a function and knows no rule of this project.
Source: IAM User Guide, "Policy evaluation logic" and "Multivalued context keys"; DynamoDB Developer Guide,
"IAM policy conditions for fine-grained access control" and "Using IAM with DynamoDB transactions"; KMS Developer Guide,
"Condition keys for AWS KMS".
"""

from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Any

from botocore.exceptions import ClientError
from template_checks.deployment import Deployment, Raw, listed

_LEADING = "dynamodb:LeadingKeys"
_KMS = {"sign": "kms:Sign", "get_public_key": "kms:GetPublicKey"}
_SINGLE = {"get_item": "GetItem", "put_item": "PutItem", "update_item": "UpdateItem", "delete_item": "DeleteItem"}


Context = dict[str, set[str]]
"""Values of a request, by condition key."""


class Policed:
    """`resource` is the logical id of the client's table or key."""

    def __init__(self, client: Any, deployment: Deployment, function: str, resource: str = "Table") -> None:
        self._client, self._statements = client, deployment.statements(function)
        self._resource = {"Fn::GetAtt": [resource, "Arn"]}
        self.used: set[str] = set()

    def __getattr__(self, operation: str) -> Any:
        def call(**request: Any) -> Any:
            for action, context in _asked(operation, request):
                self.used.add(action)
                if not self._allows(action, context):
                    error = {"Code": "AccessDeniedException", "Message": f"{action} with {context}"}
                    raise ClientError({"Error": error}, operation)
            return getattr(self._client, operation)(**request)

        return call

    def may(self, action: str, keys: set[str]) -> bool:
        """Whether the action is allowed on these partition keys."""
        return self._allows(action, {_LEADING: keys})

    def _allows(self, action: str, context: Context) -> bool:
        """An explicit Deny wins; otherwise an Allow is required."""
        effects = {s["Effect"] for s in self._statements if self._covers(s, action, context)}
        return effects == {"Allow"}

    def _covers(self, statement: Raw, action: str, context: Context) -> bool:
        return (
            action in listed(statement.get("Action", []))
            and self._resource in listed(statement.get("Resource", []))
            and all(
                _holds(test, context.get(name, set()), listed(wanted))
                for test, values in statement.get("Condition", {}).items()
                for name, wanted in values.items()
            )
        )


def _holds(test: str, values: set[str], wanted: list[str]) -> bool:
    if test == "Null":
        return (wanted == ["true"]) == (not values)
    if test == "StringEquals":
        return bool(values) and values <= set(wanted)
    matches = [any(fnmatchcase(value, pattern) for pattern in wanted) for value in values]
    return {"ForAllValues:StringLike": all, "ForAnyValue:StringLike": any}[test](matches)


def _asked(operation: str, request: Raw) -> Iterator[tuple[str, Context]]:
    """Each action that a request needs, with the values for its conditions: partition keys, signature algorithm."""
    if operation in _KMS:
        named = ("SigningAlgorithm", "MessageType")
        yield _KMS[operation], {f"kms:{name}": {request[name]} for name in named if name in request}
    else:
        yield from ((action, {_LEADING: keys}) for action, keys in _touched(operation, request))


def _touched(operation: str, request: Raw) -> Iterator[tuple[str, set[str]]]:
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
