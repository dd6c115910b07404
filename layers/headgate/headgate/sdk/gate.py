"""A gate inside a Python service that may read the table: ask it, or put it in front of a handler.

The same decision as mint and authorizer: a flag that does not exist lets admins in and nobody else, and when the rules
are not available only admins pass. Unlike the authorizer it may be up to 5 s behind; `live` asks for one consistent
read per decision instead.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any

from headgate.core.decision import decide
from headgate.core.model import Subject
from headgate.edge.http import Event, Response
from headgate.edge.problems import problem
from headgate.sdk.caller import MissingContext, caller_from
from headgate.store.snapshots import Snapshots, Standing


class NotAllowed(Exception):
    """The flag is off for this subject. Holds the reason's code."""


class Gate:
    """Decides on flags; `live` reads the head for each decision."""

    def __init__(self, snapshots: Snapshots, *, live: bool = False) -> None:
        self._snapshots, self._view = snapshots, snapshots.live if live else snapshots.soft

    def allows(self, flag: str, subject: Subject) -> bool:
        """Whether the flag is on."""
        try:
            self.check(flag, subject)
        except NotAllowed:
            return False
        return True

    def check(self, flag: str, subject: Subject) -> None:
        """Return if the flag is on. Raises `NotAllowed`. Any framework's dependency is a call of this."""
        view = self._view()
        rules = view.snapshot.rules
        listing = self._snapshots.with_lists(view, subject, (flag,))
        decision = decide(rules, flag, listing.subject, gate=True)
        if not decision.value:
            raise NotAllowed("UNAVAILABLE" if listing.unsure(rules, (flag,)) else decision.reason.value)
        if view.standing is Standing.EXPIRED and not subject.admin:
            raise NotAllowed("UNAVAILABLE")

    def required(
        self, flag: str, *, subject: Callable[[Event], Subject] | None = None
    ) -> Callable[[Callable[[Event, Any], Response]], Callable[[Event, Any], Response]]:
        """A decorator for Lambda handlers behind API Gateway: 403 unless the flag is on, 401 without a caller.

        `subject` says who asks; by default whom Headgate's authorizer let in.
        """

        def decorate(handler: Callable[[Event, Any], Response]) -> Callable[[Event, Any], Response]:
            @wraps(handler)
            def gated(event: Event, context: Any) -> Response:
                try:
                    self.check(flag, (subject or caller_subject)(event))
                except MissingContext:
                    return problem("missing-context")
                except NotAllowed:
                    return problem("forbidden", "this is not open to you")
                return handler(event, context)

            return gated

        return decorate


def caller_subject(event: Event) -> Subject:
    """The subject of a request that Headgate's authorizer let through. Raises `MissingContext`."""
    caller = caller_from(event)
    return Subject(user=caller.subject, orgs=caller.orgs, admin=caller.admin)
