"""An import of a list, from the first id to the commit: it goes on where an earlier run was stopped, however it was.

Its id follows from what it does: flag, kind, mode and the ids. So the same command finds the import that it began; what
is staged there is held against the file by its digest, and one that is committed is done. Staging one batch twice is
staging it once, so every call may be repeated.
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
"""Seconds: the first wait is at most this long, then twice as long each time up to this; and no more than that in all
without an answer."""

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
    """The import's id; the number counts from 1, for lists that were imported before."""
    whole = "\n".join((plan.flag, plan.kind, plan.mode, digest))
    return f"{plan.mode}-{plan.kind}-{sha256(whole.encode()).hexdigest()[:32]}" + (f".{number}" if number > 1 else "")


def asked_for(answer: HttpAnswer) -> float:
    """Seconds that the answer asks to wait, as far as that is bearable."""
    text = answer.headers.get("retry-after", "")
    return min(float(text), LONGEST) if text.isascii() and text.isdigit() else 0.0


class Run:
    """One run. `path` is where the import is; `staged` grows as the API answers."""

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
        """Open the import, or find it as it was left. Raises `Failure`."""
        number = 1
        while True:
            self.id = import_id(self._plan, self._members.digest, number)
            body = {"id": self.id, "kind": self._plan.kind, "mode": self._plan.mode, "reason": self._plan.reason}
            found: _Json = self._change("POST", self._imports, body).required().document
            passed_over = found.get("state") == "abandoned" or (found.get("state") == "committed" and self._plan.again)
            if not passed_over:
                break
            number += 1
        self.staged = int(found.get("staged", 0))
        self._check(found)
        return found

    def _check(self, found: Mapping[str, Any]) -> None:
        if self.staged > self._members.count or found.get("digest") != self._members.digest_of(self.staged):
            detail = f"{self.staged} ids are staged there, and they are not the first of this file"
            hint = f"give it up: headgate allow import {self._plan.flag} --abandon {self.id}"
            raise Failure(ExitCode.CONFLICT, "another list was staged", detail, slug="import-differs", hint=hint)

    def stage(self) -> bool:
        """Stage the next batch; False when all are there. Raises `Failure`."""
        if self.staged >= self._members.count:
            return False
        ids = self._members.batch(self.staged)
        answer = self._change("POST", f"{self._imports}/{self.id}/members", {"at": self.staged, "ids": ids})
        if not answer.ok:
            raise self._at_lines(failures.from_answer(answer.status, answer.body))
        staged = int(answer.document.get("staged", 0))
        if staged <= self.staged:
            raise failures.unavailable("the import does not go on", f"{staged} ids are staged, as before")
        self.staged = staged
        return True

    def _at_lines(self, failure: Failure) -> Failure:
        """The failure, each fault at an id told with its line."""

        def told(path: str) -> str:
            name, _, index = path.partition(".")
            place = int(index) if name == "ids" and index.isdigit() else None
            return path if place is None else f"line {self._members.line(self.staged + place)}"

        return replace(failure, faults=tuple((told(path), message) for path, message in failure.faults))

    def commit(self) -> _Json:
        """Switch it on; the flag as it is then. Raises `Failure`."""
        body: _Json = {"reason": self._plan.reason, "count": self._members.count, "digest": self._members.digest}
        body |= {"allow_shrink": True} if self._plan.allow_shrink else {}
        flag: _Json = self._change("POST", f"{self._imports}/{self.id}/commit", body).required().document
        return flag

    def state(self) -> _Json:
        """The import as it is. Raises `Failure`."""
        found: _Json = self._client.get(f"{self._imports}/{self.id}").document
        return found

    def _change(self, method: str, path: str, body: _Json) -> HttpAnswer:
        """A call that is repeated with its key while the API is busy or does not answer, with full jitter."""
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
