"""Signing a webhook by the rules of Standard Webhooks, so that its receiver can use any library for it.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md: HMAC-SHA256 over
`id.timestamp.body`, one signature for each secret that is valid.
"""

import binascii
import hmac
from base64 import b64decode, b64encode
from collections.abc import Sequence
from hashlib import sha256

_PREFIX = "whsec_"
_SECRET_BYTES = range(24, 65)
_SECRETS = range(1, 3)
"""One secret, or two while it changes."""


class InvalidSecret(ValueError):
    """The stored text is not one or two secrets. The text of the error does not contain it."""


def read_secrets(text: str) -> list[bytes]:
    """Read one or two secrets, separated by white space: `whsec_` and base64. Raises `InvalidSecret`."""
    words = text.split()
    if len(words) not in _SECRETS:
        raise InvalidSecret(f"{len(words)} secrets, not one or two")
    return [_read(word) for word in words]


def _read(word: str) -> bytes:
    try:
        secret = b64decode(word.removeprefix(_PREFIX), validate=True)
    except binascii.Error:
        raise InvalidSecret("not base64") from None
    if not word.startswith(_PREFIX) or len(secret) not in _SECRET_BYTES:
        raise InvalidSecret(f"not {_PREFIX} and 24 to 64 bytes in base64")
    return secret


def signed_headers(secrets: Sequence[bytes], message: str, at: int, body: bytes) -> dict[str, str]:
    """Return the headers of a message with this id, sent at `at` (Unix seconds)."""
    content = f"{message}.{at}.".encode() + body
    signatures = (b64encode(hmac.digest(secret, content, sha256)).decode() for secret in secrets)
    return {
        "webhook-id": message,
        "webhook-timestamp": str(at),
        "webhook-signature": " ".join(f"v1,{signature}" for signature in signatures),
    }
