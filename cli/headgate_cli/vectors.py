"""Decision vectors: stories in JSON, each a flag, a subject and what must come out, checked without any server.

    {"cases": [{"name": "An org that is listed gets in", "flag": "f", "flags": [{"key": "f", "stage": "allowlist",
                "allow": {"orgs": ["acme"]}}], "subject": {"user": "u", "orgs": ["acme"]},
                "value": true, "reason": "ALLOWLIST"}]}

Flags are written as in a manifest; `killed` names the reach alone. A case without `flags` takes those of the manifest
that is being checked, with the members of `with` laid over the flag in question. `stages` and `subjects` stand for each
of their items. `gate` says that access hangs on it: then a missing flag lets admins in.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headgate.core.decision import decide
from headgate.core.documents import Invalid
from headgate.core.flag import OWN_MEMBERS, load_flag
from headgate.core.model import Decision, Flag, Subject
from headgate.core.ruleset import Ruleset, ruleset
from headgate_cli import failures

STORED = {"salt": "s", "requires": [], "unit": "user", "algorithm": "sha256-v1", "version": 1, "revision": 1,
          "updated_at": "2026-03-01T12:00:00.000Z", "updated_by": "vectors"}  # fmt: skip
KILLED = {"reason": "vectors", "at": "2026-03-01T12:00:00.000Z", "by": "vectors"}
DRAINED = "2026-03-01T13:00:00.000Z"
_REVISION = 7

_Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Case:
    """One decision and what it must be."""

    name: str
    rules: Ruleset
    flag: str
    subject: Subject
    gate: bool
    value: bool
    reason: str

    def decide(self) -> Decision:
        """What comes out."""
        return decide(self.rules, self.flag, self.subject, gate=self.gate)

    def holds(self) -> bool:
        """Whether it is what must come out."""
        made = self.decide()
        return (made.value, made.reason.value) == (self.value, self.reason)


def read_cases(path: Path, manifest: Mapping[str, _Document]) -> Iterator[Case]:
    """Every case of a file, multiplied out. Raises `Failure` when the file is not one of vectors."""
    try:
        for case in json.loads(path.read_text(encoding="utf-8"))["cases"]:
            yield from multiplied(case, manifest)
    except (OSError, ValueError, KeyError, TypeError, Invalid) as fault:
        raise failures.usage(
            f"{path}: this is no file of decision vectors", f"{type(fault).__name__}: {fault}"
        ) from None


def multiplied(case: _Document, manifest: Mapping[str, _Document]) -> Iterator[Case]:
    """A case for each of its stages and subjects."""
    given = case["flags"] if "flags" in case else [*manifest.values()]
    for stage in case.get("stages", (None,)):
        changed = {**case.get("with", {}), **({} if stage is None else {"stage": stage})}
        documents = [{**flag, **changed} if flag["key"] == case["flag"] else flag for flag in given]
        rules = ruleset({flag["key"]: flag_from(flag) for flag in documents}, _REVISION)
        for subject in case.get("subjects", [case.get("subject")]):
            yield Case(
                case["name"], rules, case["flag"], subject_from(subject), case.get("gate", False),
                case["value"], case["reason"],
            )  # fmt: skip


def flag_from(document: _Document) -> Flag:
    """A flag as the vectors write it. Raises `Invalid`."""
    kill = document.get("killed")
    killed = None if kill is None else {**KILLED, "reach": kill}
    if kill == "drain":
        killed = {**(killed or {}), "drain_until": DRAINED}
    unknown = document.keys() - {*OWN_MEMBERS, "killed"}
    if unknown:
        raise Invalid((name, "unknown member") for name in sorted(unknown))
    own = {name: value for name, value in document.items() if name in OWN_MEMBERS}
    return load_flag({**STORED, **own, "killed": killed})


def subject_from(document: _Document) -> Subject:
    """A subject as the vectors write it."""
    return Subject(**{**document, "orgs": tuple(document.get("orgs", ()))})
