"""The laptop's transactions match moto's, failures included, and do not slow down as a table grows."""

import copy
from random import Random
from typing import Any

from moto.dynamodb.models import DynamoDBBackend

from headgate_cli.local.transactions import Transactions

KEYS = ("a", "b", "c", "d")
SCHEMA = [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}]
TYPES = [{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")]


def backend(kind: type[DynamoDBBackend]) -> DynamoDBBackend:
    made = kind("us-east-1", "123456789012")
    for name in ("t", "u"):
        made.create_table(
            name, schema=SCHEMA, attr=TYPES, throughput=None, global_indexes=[], indexes=[], streams=None,
            billing_mode="PAY_PER_REQUEST", sse_specification=None, tags=[], deletion_protection_enabled=False,
            warm_throughput=None,
        )  # fmt: skip
    return made


def operation(source: Random) -> dict[str, Any]:
    """A put, an update, a deletion, or a condition check, whose condition often fails."""
    key = {"pk": {"S": source.choice(KEYS)}, "sk": {"S": source.choice(KEYS)}}
    held = {"TableName": source.choice("tu"), "ExpressionAttributeNames": {"#p": "pk", "#n": "n"}}
    condition = source.choice(("attribute_exists(#p)", "attribute_not_exists(#p)"))
    number = {":n": {"N": str(source.randrange(9))}}
    kind = source.choice(("Put", "Put", "Update", "Delete", "ConditionCheck"))
    if kind == "Put":
        held["Item"] = {**key, "n": number[":n"]}
    else:
        held["Key"] = key
    if kind == "Update":
        held |= {"UpdateExpression": "SET #n = :n", "ExpressionAttributeValues": number}
    if kind == "ConditionCheck" or source.random() < 0.5:
        held["ConditionExpression"] = condition
    return {kind: held}


def outcome(made: DynamoDBBackend, operations: list[dict[str, Any]]) -> str:
    try:
        made.transact_write_items(copy.deepcopy(operations))
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return "done"


def items(made: DynamoDBBackend) -> dict[Any, Any]:
    return {
        (name, key["pk"]["S"], key["sk"]["S"]): key
        for name, table in made.tables.items()
        for item in table.all_items()
        for key in (item.to_json()["Attributes"],)
    }


def test_transactions_match_motos() -> None:
    source = Random(5)
    ours, own = backend(Transactions), backend(DynamoDBBackend)
    outcomes: set[str] = set()
    for _ in range(400):
        operations = [operation(source) for _ in range(source.randint(1, 4))]
        told = outcome(ours, operations)
        assert told == outcome(own, operations)
        assert items(ours) == items(own), operations
        outcomes.add(told.partition(":")[0])
    assert {"done", "TransactionCanceledException", "MultipleTransactionsException"} <= outcomes


def test_transaction_does_not_copy_the_table() -> None:
    ours = backend(Transactions)
    table = ours.tables["t"]
    ours.transact_write_items([{"Put": {"TableName": "t", "Item": {"pk": {"S": "a"}, "sk": {"S": "b"}}}}])
    assert copy.deepcopy(table) is table
    assert ours.tables["t"] is table
