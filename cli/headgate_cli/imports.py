"""Runs the import of a list, from the first id to the commit. It resumes an earlier run, however that one was stopped.

The import's id is derived from the flag, kind, mode, and ids, so the same command finds the import that it started.
The digest of the staged ids is compared with the file's; a committed import is done. Staging a batch is idempotent, so
every call may be retried.
"""

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any
from uuid import uuid4

from headgate_cli import failures
from headgate_cli.client import Client
from headgate_cli.failures import ExitCode, Failure
from headgate_cli.member_file import MemberFile
from headgate_cli.transport import HttpAnswer

BUSY = (429, 502, 503, 504)
SHORTEST, LONGEST, PATIENCE = 0.5, 20.0, 300.0
"""Seconds: the limit of the first wait, which then doubles; the longest wait; and the total wait without an answer."""

_Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class ImportPlan:
    """What to import, and why."""

    flag: str
    kind: str
    mode: str
    reason: str
    allow_shrink: bool = False
    again: bool = False


def import_id(plan: ImportPlan, digest: str, number: int) -> str:
    """Return the import's id. `number` starts at 1 and counts repeated imports of the same list."""
    whole = "\n".join((plan.flag, plan.kind, plan.mode, digest))
    return f"{plan.mode}-{plan.kind}-{sha256(whole.encode()).hexdigest()[:32]}" + (f".{number}" if number > 1 else "")


def asked_for(answer: HttpAnswer) -> float:
    """Return the seconds that the answer asks to wait, at most `LONGEST`."""
    text = answer.headers.get("retry-after", "")
    return min(float(text), LONGEST) if text.isascii() and text.isdigit() else 0.0


class Run:
    """One run of an import. `staged` is the number of ids staged so far."""

    def __init__(
        self, client: Client, plan: ImportPlan, members: MemberFile, *,
        pause: Callable[[float], None] = time.sleep, jitter: Callable[[], float] = random.random,
    ) -> None:  # fmt: skip
        self._client, self._plan, self._members = client, plan, members
        self._pause, self._jitter = pause, jitter
        self._imports = f"/admin/v1/flags/{plan.flag}/imports"
        self.id = ""
        self.staged = 0

    def open(self) -> _Json:
        """Open the import, or find it as an earlier run left it. Raises `Failure`."""
        number = 1
        while True:
            self.id = import_id(self._plan, self._members.digest, number)
            body = {"id": self.id, "kind": self._plan.kind, "mode": self._plan.mode, "reason": self._plan.reason}
            found: _Json = self._change("POST", self._imports, body).required().document
            skipped = found.get("state") == "abandoned" or (found.get("state") == "committed" and self._plan.again)
            if not skipped:
                break
            number += 1
        self.staged = int(found.get("staged", 0))
        self._check(found)
        return found

    def _check(self, found: Mapping[str, Any]) -> None:
        if self.staged > self._members.count or found.get("digest") != self._members.digest_of(self.staged):
            detail = f"the {self.staged} staged ids are not the first ids of this file"
            hint = f"abandon the import: headgate allow import {self._plan.flag} --abandon {self.id}"
            raise Failure(ExitCode.CONFLICT, "a different list is staged", detail, slug="import-differs", hint=hint)

    def stage(self) -> bool:
        """Stage the next batch. Returns False if all ids are staged. Raises `Failure`."""
        if self.staged >= self._members.count:
            return False
        ids = self._members.batch(self.staged)
        answer = self._change("POST", f"{self._imports}/{self.id}/members", {"at": self.staged, "ids": ids})
        if not answer.ok:
            raise self._at_lines(failures.from_answer(answer.status, answer.body))
        staged = int(answer.document.get("staged", 0))
        if staged <= self.staged:
            raise failures.unavailable("the import makes no progress", f"{staged} ids are staged, as before")
        self.staged = staged
        return True

    def _at_lines(self, failure: Failure) -> Failure:
        """Return the failure with the file's line in place of each id's index."""

        def located(path: str) -> str:
            name, _, index = path.partition(".")
            place = int(index) if name == "ids" and index.isdigit() else None
            return path if place is None else f"line {self._members.line(self.staged + place)}"

        return replace(failure, faults=tuple((located(path), message) for path, message in failure.faults))

    def commit(self) -> _Json:
        """Commit the import and return the flag. Raises `Failure`."""
        body: _Json = {"reason": self._plan.reason, "count": self._members.count, "digest": self._members.digest}
        body |= {"allow_shrink": True} if self._plan.allow_shrink else {}
        flag: _Json = self._change("POST", f"{self._imports}/{self.id}/commit", body).required().document
        return flag

    def state(self) -> _Json:
        """Return the import. Raises `Failure`."""
        found: _Json = self._client.get(f"{self._imports}/{self.id}").document
        return found

    def _change(self, method: str, path: str, body: _Json) -> HttpAnswer:
        """Send a mutation, retrying with the same Idempotency-Key and full jitter while the API is busy or down."""
        key, waited, longest = {"Idempotency-Key": str(uuid4())}, 0.0, SHORTEST
        while True:
            failure: Failure | None = None
            try:
                answer = self._client.change(method, path, body, key)
                if answer.status not in BUSY:
                    return answer
            except Failure as no_answer:
                failure = no_answer
            if waited >= PATIENCE or (failure is not None and failure.exit_code is not ExitCode.UNAVAILABLE):
                raise failure or failures.from_answer(answer.status, answer.body)
            wait = self._jitter() * longest + (0 if failure else asked_for(answer))
            self._pause(wait)
            waited, longest = waited + max(wait, 1.0), min(2 * longest, LONGEST)
