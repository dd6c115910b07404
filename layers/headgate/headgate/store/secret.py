"""One secret of AWS Secrets Manager.

https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_GetSecretValue.html
"""

from collections.abc import Callable
from typing import Any

from headgate.store.dynamo import AWS_ERRORS, as_unavailable
from headgate.store.port import Unavailable


class Secret:
    """`connect` creates the client at the first read: that takes 25 ms, and most environments never need it."""

    def __init__(self, arn: str, connect: Callable[[], Any]) -> None:
        self._arn, self._connect = arn, connect
        self._api: Any = None

    def read(self) -> str:
        """Return the secret's current text. Raises `Unavailable` with the error's code if it cannot be read."""
        if self._api is None:
            self._api = self._connect()
        try:
            answer = self._api.get_secret_value(SecretId=self._arn)
        except AWS_ERRORS as error:
            raise as_unavailable(error) from None
        if not isinstance(answer.get("SecretString"), str):
            raise Unavailable("NoText")
        return str(answer["SecretString"])
