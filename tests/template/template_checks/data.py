"""What must hold of what outlives a deployment: tables, keys, and who may use the keys.

Each check takes a deployment and yields its faults in plain words; none is the answer that is wanted.
"""

from collections.abc import Iterator

from template_checks.deployment import Deployment
from template_checks.expected import SIGNERS

TABLE = {
    "BillingMode": "PAY_PER_REQUEST",
    "DeletionProtectionEnabled": True,
    "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": True},
    "SSESpecification": {"SSEEnabled": True},
    "TimeToLiveSpecification": {"AttributeName": "expires", "Enabled": True},
    "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
}


def what_is_stored_survives(d: Deployment) -> Iterator[str]:
    """Deleting the stack, or a change that replaces a resource, leaves tables and keys in place."""
    for name in ("Table", *sorted(SIGNERS)):
        resource = d.resources.get(name, {})
        for policy in ("DeletionPolicy", "UpdateReplacePolicy"):
            if resource.get(policy) != "Retain":
                yield f"{name}: {policy} is {resource.get(policy)}"


def tables_are_safe(d: Deployment) -> Iterator[str]:
    tables = d.of("AWS::DynamoDB::Table")
    if tables.keys() != {"Table"}:
        yield f"the tables are {sorted(tables)}"
    for name, table in tables.items():
        yield from (f"{name}: {k} is {table.get(k)}" for k, v in TABLE.items() if table.get(k) != v)
    if tables.get("Table", {}).get("StreamSpecification") != {"StreamViewType": "NEW_AND_OLD_IMAGES"}:
        yield "Table has no stream of both images"


def keys_are_these(d: Deployment) -> Iterator[str]:
    keys = d.of("AWS::KMS::Key")
    if keys.keys() != SIGNERS.keys():
        yield f"the keys are {sorted(keys)}"
    for name, key in keys.items():
        if (key.get("KeySpec"), key.get("KeyUsage")) != ("ECC_NIST_P256", "SIGN_VERIFY"):
            yield f"{name} is {key.get('KeySpec')} for {key.get('KeyUsage')}"
        if key.get("PendingWindowInDays") != 30:
            yield f"{name} could be gone in {key.get('PendingWindowInDays')} days"


def only_one_function_signs(d: Deployment) -> Iterator[str]:
    """The account administers the keys; a Deny keeps everyone but one function's role from signing.

    Tokens by the token function, checkpoints by the admin function: neither can make what the other makes.
    """
    for name, key in d.of("AWS::KMS::Key").items():
        allow = [s for s in key["KeyPolicy"]["Statement"] if s["Effect"] == "Allow"]
        deny = [s for s in key["KeyPolicy"]["Statement"] if s["Effect"] == "Deny"]
        if len(allow) != 1 or d.text(allow[0]["Principal"].get("AWS", "*")) != "arn:aws:iam::123456789012:root":
            yield f"{name} is open to others than its account"
        signer = f"arn:aws:iam::123456789012:role/headgate/headgate-production/{SIGNERS.get(name)}/*"
        stand = [
            s
            for s in deny
            if (s["Principal"], s["Action"]) == ("*", "kms:Sign")
            and s["Condition"].keys() == {"ArnNotLike"}
            and d.text(s["Condition"]["ArnNotLike"].get("aws:PrincipalArn", "")) == signer
        ]
        if not stand:
            yield f"{name} may sign for others than the {SIGNERS.get(name)} function"


CHECKS = (what_is_stored_survives, tables_are_safe, keys_are_these, only_one_function_signs)
