"""Rules for what outlives a deployment: tables, keys, and who may use the keys.

Each check takes a deployment and yields its faults as text. A valid deployment yields none.
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


def stored_data_is_retained(d: Deployment) -> Iterator[str]:
    """Tables and keys are kept if the stack is deleted or a change replaces a resource.

    `RetainExceptOnCreate` deletes what a failed first deployment made. It is for the keys alone, which cost money: a
    protected table cannot be deleted, so that the rollback itself would fail.
    """
    for name in ("Table", *sorted(SIGNERS)):
        resource = d.resources.get(name, {})
        wanted = {
            "DeletionPolicy": "RetainExceptOnCreate" if name in SIGNERS else "Retain",
            "UpdateReplacePolicy": "Retain",
        }
        yield from (f"{name}: {k} is {resource.get(k)}" for k, v in wanted.items() if resource.get(k) != v)


def tables_are_protected(d: Deployment) -> Iterator[str]:
    tables = d.of("AWS::DynamoDB::Table")
    if tables.keys() != {"Table"}:
        yield f"the tables are {sorted(tables)}"
    for name, table in tables.items():
        yield from (f"{name}: {k} is {table.get(k)}" for k, v in TABLE.items() if table.get(k) != v)
    if tables.get("Table", {}).get("StreamSpecification") != {"StreamViewType": "NEW_IMAGE"}:
        yield "Table has no stream of new images"


def keys_match_expected(d: Deployment) -> Iterator[str]:
    keys = d.of("AWS::KMS::Key")
    if keys.keys() != SIGNERS.keys():
        yield f"the keys are {sorted(keys)}"
    for name, key in keys.items():
        if (key.get("KeySpec"), key.get("KeyUsage")) != ("ECC_NIST_P256", "SIGN_VERIFY"):
            yield f"{name} is {key.get('KeySpec')} for {key.get('KeyUsage')}"
        if key.get("PendingWindowInDays") != 30:
            yield f"{name} can be deleted in {key.get('PendingWindowInDays')} days"


def each_key_has_one_signer(d: Deployment) -> Iterator[str]:
    """The account administers the keys; a Deny keeps all but one function's role from signing.

    The token function signs tokens, the admin function and the checkpoint function checkpoints.
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
            yield f"functions other than {SIGNERS.get(name)} may sign with {name}"


CHECKS = (stored_data_is_retained, tables_are_protected, keys_match_expected, each_key_has_one_signer)
