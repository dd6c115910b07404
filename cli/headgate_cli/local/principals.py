"""Decides who may sign requests on a laptop: one made-up principal per managed policy of the template.

Access keys are drawn at start, so that none stands in the code; they open nothing but the local API. It must not know
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
"""Principal to the logical ids of the managed policies that its role has."""


@dataclass(frozen=True, slots=True)
class Principal:
    """A signer: an assumed role's session, its key and what its policies say."""

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
    """The dev principals by name. Raises KeyError for a policy that the template lacks, PolicyRefused."""
    return {name: _principal(name, [policies[policy] for policy in bears]) for name, bears in ROLES.items()}


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
