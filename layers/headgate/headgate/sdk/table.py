"""Headgate's table as a service opens it, by name."""

from headgate.store.dynamo import REQUEST_PATH, DynamoTable, client
from headgate.store.port import Table


def open_table(table: str | Table) -> Table:
    """The table of this name in the caller's account and region (IAM: GetItem, BatchGetItem, Query), or as given."""
    return DynamoTable(table, client("dynamodb", **REQUEST_PATH)) if isinstance(table, str) else table
