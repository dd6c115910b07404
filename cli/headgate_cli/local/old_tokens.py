"""Reads what the laptop mode is told of the system that Headgate replaces: the issuer, and the secret it signs with.

A file, `{"issuer": {…as the template's parameter LegacyIssuer…}, "secret": "…"}`: a secret does not belong on a command
line. It must not know how either is used.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from pathlib import Path

from headgate_cli import failures
from headgate_cli.local.declared import local_arn

NAME = "headgate-local-old-a1B2c3"
"""What stands for the secret where the template asks for the end of its ARN."""


@dataclass(frozen=True, slots=True)
class OldTokens:
    """The issuer as JSON text, and the secret's text."""

    issuer: str
    secret: str = field(repr=False)

    @property
    def parameters(self) -> dict[str, str]:
        """What the template is given."""
        return {"LegacyIssuer": self.issuer, "LegacySecret": NAME}

    @property
    def stored(self) -> dict[str, str]:
        """What Secrets Manager is to hold."""
        return {"arn": local_arn("secretsmanager", f"secret:{NAME}"), "text": self.secret}


def read_old_tokens(path: Path) -> OldTokens:
    """Read and check the file. Raises Failure (usage), which holds nothing of the secret."""
    from headgate.core.documents import Invalid
    from headgate.tokens.legacy_issuer import NoSecret, parse_legacy_issuer, shared_secret

    try:
        document = json.loads(path.read_bytes())
    except OSError as error:
        raise failures.usage(f"{path} cannot be read: {error.strerror}") from None
    except ValueError:
        raise failures.usage(f"{path} is not JSON") from None
    if not isinstance(document, dict) or document.keys() != {"issuer", "secret"}:
        raise failures.usage(f"{path} must hold issuer and secret")
    issuer, secret = json.dumps(document["issuer"]), str(document["secret"])
    try:
        parse_legacy_issuer(issuer, time.time())
        shared_secret(secret)
    except Invalid as invalid:
        raise failures.usage(f"{path}: {invalid}") from None
    except NoSecret as none:
        raise failures.usage(f"{path}: the secret is {none}") from None
    return OldTokens(issuer, secret)
