"""A gate inside a Python service that may read the table: call it, or decorate a handler with it.

It decides like mint and the authorizer: if the flag is missing or the rules are not available, it admits only admins.
Unlike the authorizer's, its rules may be up to 5 s old. With `live`, each decision does one consistent read instead.
Threads may share a gate: while one refreshes the rules, the others wait.
"""

import random
import threading
import time
from collections.abc import Callable
from functools import wraps
from typing import Any

from headgate.core.decision import decide
from headgate.core.model import Subject
from headgate.edge.http import Event, Response
from headgate.edge.problems import problem
from headgate.sdk.caller import MissingContext, caller_from
from headgate.sdk.table import open_table
from headgate.store.port import Table
from headgate.store.snapshots import Snapshots, Standing, View


class NotAllowed(Exception):
    """The flag is off for this subject. The message is the reason's code."""


class Gate:
    """Decides flags from Headgate's table. Create one per process.

    `table` is the table's name (the stack's output `TableName`). With `live`, each decision reads the head, so that a
    kill takes effect at once.
    """

    def __init__(
        self, table: str | Table, *, live: bool = False,
        clock: Callable[[], float] = time.time, jitter: Callable[[], float] = random.random,
    ) -> None:  # fmt: skip
        self._snapshots = Snapshots(open_table(table), clock=clock, jitter=jitter)
        self._view = self._snapshots.live if live else self._soft
        self._lock = threading.Lock()

    def _soft(self) -> View:
        with self._lock:
            return self._snapshots.soft()

    def allows(self, flag: str, subject: Subject) -> bool:
        """Whether the flag is on."""
        try:
            self.check(flag, subject)
        except NotAllowed:
            return False
        return True

    def check(self, flag: str, subject: Subject) -> None:
        """Return if the flag is on, else raise `NotAllowed`. Any framework's dependency or middleware can call this."""
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
        """Decorate a Lambda handler behind API Gateway: answer 403 unless the flag is on, and 401 without a caller.

        `subject` returns who asks; by default, the caller that Headgate's authorizer admitted.
        """

        def decorate(handler: Callable[[Event, Any], Response]) -> Callable[[Event, Any], Response]:
            @wraps(handler)
            def gated(event: Event, context: Any) -> Response:
                try:
                    self.check(flag, (subject or caller_subject)(event))
                except MissingContext:
                    return problem("missing-context")
                except NotAllowed:
                    return problem("forbidden", "the flag is off for this caller")
                return handler(event, context)

            return gated

        return decorate


def caller_subject(event: Event) -> Subject:
    """Return the subject of a request that Headgate's authorizer admitted. Raises `MissingContext`."""
    caller = caller_from(event)
    org = (event.get("pathParameters") or {}).get("org")
    return Subject(user=caller.subject, orgs=caller.orgs, admin=caller.admin, orgs_cut=caller.orgs_cut,
                   acting_org=org if org in caller.orgs else None)  # fmt: skip
