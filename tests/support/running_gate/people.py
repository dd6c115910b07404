"""People in tests: what the dev identity provider is told of them. Names are new for each test."""

import uuid
from dataclasses import dataclass, field
from typing import Any


def new_id(prefix: str) -> str:
    """An id that no other test uses."""
    return f"{prefix}-{uuid.uuid4().hex[:12]}"


@dataclass(frozen=True, slots=True)
class Person:
    """A subject: `attributes` become claims of the identity token where the laptop mode reads them (`plan`, `role`)."""

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
        """The subject as the admin API's explain takes it."""
        return {
            "user": self.user,
            "orgs": list(self.orgs),
            "admin": self.admin,
            "attributes": dict(self.attributes),
        }
