"""People in tests, and their fields at the development identity provider. Names are new for each test."""

import uuid
from dataclasses import dataclass, field
from typing import Any


def new_id(prefix: str) -> str:
    """An id that no other test uses."""
    return f"{prefix}-{uuid.uuid4().hex[:12]}"


@dataclass(frozen=True, slots=True)
class Person:
    """A subject. `attributes` become identity token claims that the laptop mode reads (`plan`, `role`)."""

    user: str = field(default_factory=lambda: new_id("user"))
    orgs: tuple[str, ...] = ()
    admin: bool = False
    attributes: tuple[tuple[str, str], ...] = ()

    def form(self) -> dict[str, str]:
        """The fields of the identity provider's form."""
        fields = {"sub": self.user, **dict(self.attributes)}
        if self.orgs:
            fields["orgs"] = ",".join(self.orgs)
        if self.admin:
            fields["admin"] = "true"
        return fields

    def context(self) -> dict[str, Any]:
        """The evaluation context with which a service names this subject."""
        return {"targetingKey": self.user, "orgs": list(self.orgs), "admin": self.admin, **dict(self.attributes)}

    def document(self) -> dict[str, Any]:
        """The subject in the form that the admin API's explain accepts."""
        return {
            "user": self.user,
            "orgs": list(self.orgs),
            "admin": self.admin,
            "attributes": dict(self.attributes),
        }
