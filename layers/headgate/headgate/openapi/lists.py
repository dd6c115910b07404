"""Models of the responses about long lists and imports."""

from typing import Annotated, Literal

from pydantic import Field

from headgate.core.changes.list_import import ImportState
from headgate.openapi.parts import ABSENT, AnswerSchema, Count, Digest


class ImportingSchema(AnswerSchema):
    """A committed import. `kind` and `mode` are empty for a call with many ids."""

    id: str
    ordinal: Count
    kind: Literal["user", "org", ""]
    mode: Literal["add", "remove", ""]
    count: Count
    digest: Digest


class ChangedSchema(AnswerSchema):
    """The last change of the long list: its ids, or for an import its count and digest."""

    revision: Count
    added: Count
    removed: Count
    ids: dict[Literal["added", "removed"], dict[Literal["users", "orgs"], list[str]]] = ABSENT
    import_: Annotated[ImportingSchema, Field(alias="import")] = ABSENT


class LongListSchema(AnswerSchema):
    """The part of the allowlist that is stored outside the flag: its size, and each import's ordinal and revision.

    `since` is present if the list was lost and started from scratch, and is the revision of that change.
    """

    users: Count
    orgs: Count
    imports: list[list[Count]]
    changed: ChangedSchema
    since: Count = ABSENT


class ImportSchema(AnswerSchema):
    """An import. A commit now would add `added` ids and remove `removed`. `revision` is the commit's, or null."""

    id: str
    kind: Literal["user", "org"]
    mode: Literal["add", "remove"]
    state: ImportState
    staged: Count
    added: Count
    removed: Count
    digest: Digest
    revision: Count | None
