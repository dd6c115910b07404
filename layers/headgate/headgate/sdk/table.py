"""Opening Headgate's table from a service."""

from headgate.store.dynamo import REQUEST_PATH, DynamoTable, client
from headgate.store.port import Table


def open_table(table: str | Table) -> Table:
    """Open the table with this name, or return the one given. IAM: `dynamodb:GetItem`, `BatchGetItem`, `Query`."""
    return DynamoTable(table, client("dynamodb", **REQUEST_PATH)) if isinstance(table, str) else table
