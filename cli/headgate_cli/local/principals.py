"""The principals who may sign requests locally: one per managed policy of the template, and an admin.

Access keys are generated at start, so that none is in the code; they work only for the local API. It must not know
signatures or HTTP.
"""

from __future__ import annotations

import secrets
import string
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from headgate_cli.local.declared import ACCOUNT_ID
from headgate_cli.local.iam import Statement, compile_policies

ROLES: Mapping[str, tuple[str, ...]] = {
    "admin": ("AdminPolicy", "ServicePolicy", "EmergencyPolicy"),
    "editor": ("EditorPolicy",),
    "viewer": ("ViewerPolicy",),
    "kill_operator": ("KillOperatorPolicy",),
    "auditor": ("AuditorPolicy",),
    "service": ("ServicePolicy",),
    "emergency": ("EmergencyPolicy",),
}
"""The logical ids of the managed policies of each principal's role."""


@dataclass(frozen=True, slots=True)
class Principal:
    """A signer: an assumed role's session, its key, and the statements of its policies."""

    name: str
    access_key_id: str
    secret_access_key: str
    user_arn: str
    user_id: str
    statements: tuple[Statement, ...]

    @property
    def credentials(self) -> dict[str, str]:
        return {"access_key_id": self.access_key_id, "secret_access_key": self.secret_access_key}


def make_principals(policies: Mapping[str, Mapping[str, Any]]) -> dict[str, Principal]:
    """Create the principals, by name. Raises KeyError for a policy that the template lacks, PolicyRefused."""
    return {name: _principal(name, [policies[policy] for policy in own]) for name, own in ROLES.items()}


def _principal(name: str, documents: list[Mapping[str, Any]]) -> Principal:
    role = f"headgate-{name.replace('_', '-')}"
    return Principal(
        name=name,
        access_key_id="AKIALOCAL" + _letters(11),
        secret_access_key=secrets.token_urlsafe(30),
        user_arn=f"arn:aws:sts::{ACCOUNT_ID}:assumed-role/{role}/dev",
        user_id=f"AROALOCAL{name.replace('_', '').upper():0<12.12}:dev",
        statements=compile_policies(documents),
    )


def _letters(count: int) -> str:
    return "".join(secrets.choice(string.ascii_uppercase + "234567") for _ in range(count))
