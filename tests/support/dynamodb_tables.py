"""Tables of a DynamoDB at a loopback URL, reached as the store does: botocore over a socket."""

import contextlib
import os
from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest
from moto_child import CREDENTIALS

from headgate.store.dynamo import REQUEST_PATH, DynamoTable, client
from headgate_cli.local.declared import REGION

SCHEMA: dict[str, Any] = {
    "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
    "AttributeDefinitions": [
        {"AttributeName": "pk", "AttributeType": "S"},
        {"AttributeName": "sk", "AttributeType": "S"},
    ],
    "BillingMode": "PAY_PER_REQUEST",
}


class Tables:
    """Creates empty tables; each user of a table can have its own connections."""

    def __init__(self) -> None:
        self._numbers = count()
        self._clients = [_client()]

    def new(self, *, users: int = 1) -> list[DynamoTable]:
        """Create one empty table for this many users. The budget is long: these servers are slower than AWS."""
        name = f"test-{os.getpid()}-{next(self._numbers)}"
        self._clients[0].create_table(TableName=name, **SCHEMA)
        while len(self._clients) < users:
            self._clients.append(_client())
        return [DynamoTable(name, api, budget=30.0) for api in self._clients[:users]]

    def close(self) -> None:
        """Close all connections."""
        for api in self._clients:
            api.close()


def _client() -> Any:
    return client("dynamodb", **{**REQUEST_PATH, "read_timeout": 20.0})


@contextlib.contextmanager
def tables_at(url: str) -> Iterator[Tables]:
    """Tables of the server at this URL, for the duration of the block."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in zip(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), CREDENTIALS, strict=True):
            patch.setenv(name, value)
        patch.setenv("AWS_DEFAULT_REGION", REGION)
        patch.setenv("AWS_ENDPOINT_URL_DYNAMODB", url)
        tables = Tables()
        try:
            yield tables
        finally:
            tables.close()
