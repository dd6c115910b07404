"""What the functions answer of long lists and imports, as models."""

from typing import Annotated, Literal

from pydantic import Field

from headgate.core.changes.list_import import State
from headgate.openapi.parts import ABSENT, Answer, Count, Digest


class Importing(Answer):
    """A batch that was switched on: `kind` and `mode` are empty for one call of many ids."""

    id: str
    ordinal: Count
    kind: Literal["user", "org", ""]
    mode: Literal["add", "remove", ""]
    count: Count
    digest: Digest


class Changed(Answer):
    """What the last change of member items did: by its ids, or for a batch by count and digest."""

    revision: Count
    added: Count
    removed: Count
    ids: dict[Literal["added", "removed"], dict[Literal["users", "orgs"], list[str]]] = ABSENT
    import_: Annotated[Importing, Field(alias="import")] = ABSENT


class LongList(Answer):
    """The part of the list that does not fit into the flag: how many, and each import's ordinal and revision.

    `since` is there when the list was lost and begun anew, and is the revision of that.
    """

    users: Count
    orgs: Count
    imports: list[list[Count]]
    changed: Changed
    since: Count = ABSENT


class Import(Answer):
    """How far an import is. `added` and `removed` are what its commit does as of now; `revision` is the commit's."""

    id: str
    kind: Literal["user", "org"]
    mode: Literal["add", "remove"]
    state: State
    staged: Count
    added: Count
    removed: Count
    digest: Digest
    revision: Count | None
