"""What the functions answer of long lists and imports, as models."""

from typing import Annotated, Literal

from pydantic import Field

from headgate.core.changes.list_import import ImportState
from headgate.openapi.parts import ABSENT, AnswerSchema, Count, Digest


class ImportingSchema(AnswerSchema):
    """A batch that was switched on: `kind` and `mode` are empty for one call of many ids."""

    id: str
    ordinal: Count
    kind: Literal["user", "org", ""]
    mode: Literal["add", "remove", ""]
    count: Count
    digest: Digest


class ChangedSchema(AnswerSchema):
    """What the last change of member items did: by its ids, or for a batch by count and digest."""

    revision: Count
    added: Count
    removed: Count
    ids: dict[Literal["added", "removed"], dict[Literal["users", "orgs"], list[str]]] = ABSENT
    import_: Annotated[ImportingSchema, Field(alias="import")] = ABSENT


class LongListSchema(AnswerSchema):
    """The part of the list that does not fit into the flag: how many, and each import's ordinal and revision.

    `since` is there when the list was lost and begun anew, and is the revision of that.
    """

    users: Count
    orgs: Count
    imports: list[list[Count]]
    changed: ChangedSchema
    since: Count = ABSENT


class ImportSchema(AnswerSchema):
    """How far an import is. `added` and `removed` are what its commit does as of now; `revision` is the commit's."""

    id: str
    kind: Literal["user", "org"]
    mode: Literal["add", "remove"]
    state: ImportState
    staged: Count
    added: Count
    removed: Count
    digest: Digest
    revision: Count | None
