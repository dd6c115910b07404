"""The stack's KMS keys: usable, and signing for one function only.

Source: KMS API reference, DescribeKey and GetKeyPolicy; KMS Developer Guide, "Key policies".
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from headgate_cli.doctor.checked import Checked

WANTED = {"KeyState": "Enabled", "KeySpec": "ECC_NIST_P256", "KeyUsage": "SIGN_VERIFY"}


def check_key(kms: Any, name: str, key: str, signer: str) -> Iterator[Checked]:
    """Check one key: `key` is its id or ARN, `signer` the pattern of the only role that may sign with it."""
    described = kms.describe_key(KeyId=key)["KeyMetadata"]
    policy = json.loads(kms.get_key_policy(KeyId=described["Arn"], PolicyName="default")["Policy"])
    faults = [f"its {member} is {described[member]}, not {value}"
              for member, value in WANTED.items() if described[member] != value]  # fmt: skip
    faults += _faults_of_policy(policy, described["Arn"], signer)
    yield from (Checked("keys", f"{name}: {fault}", failed=True) for fault in faults)
    if not faults:
        yield Checked("keys", f"{name} is enabled, and only {signer} may sign")


def _faults_of_policy(policy: Mapping[str, Any], key: str, signer: str) -> Iterator[str]:
    """A role may sign if a statement allows it and none denies it, so one denial of all others is enough."""
    statements = policy["Statement"] if isinstance(policy["Statement"], list) else [policy["Statement"]]
    if not any(_denies_all_but(statement, key, signer) for statement in statements):
        yield f"its policy does not deny kms:Sign to everyone but {signer}"
    if any(s["Effect"] == "Allow" and _is_anyone(s.get("Principal", "*")) and "Condition" not in s for s in statements):
        yield "its policy allows something to everyone"


def _denies_all_but(statement: Mapping[str, Any], key: str, signer: str) -> bool:
    covers = not {"kms:Sign", "kms:*", "*"}.isdisjoint(_listed(statement.get("Action", [])))
    covers = covers and not {"*", key}.isdisjoint(_listed(statement.get("Resource", [])))
    excepted = [
        value for operator in ("ArnNotLike", "ArnNotEquals", "StringNotLike")
        for key, value in statement.get("Condition", {}).get(operator, {}).items() if key.lower() == "aws:principalarn"
    ]  # fmt: skip
    alone = len(statement.get("Condition", {})) == 1 and excepted in ([signer], [[signer]])
    return statement["Effect"] == "Deny" and _is_anyone(statement.get("Principal")) and covers and alone


def _is_anyone(principal: Any) -> bool:
    return principal == "*" or (isinstance(principal, dict) and "*" in _listed(principal.get("AWS", [])))


def _listed(value: Any) -> Any:
    return value if isinstance(value, list) else [value]
