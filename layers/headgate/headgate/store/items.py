"""What is stored where: the only module that knows the table's layout.

| record      | pk                | sk                             | written by | expires |
|-------------|-------------------|--------------------------------|------------|---------|
| head        | head              | head                           | admin      | never   |
| flag        | rules             | flag#<key>                     | admin      | never   |
| routes      | rules             | routes                         | admin      | never   |
| profile     | rules             | profile                        | admin      | never   |
| keyring     | rules             | keys                           | admin      | never   |
| denial      | rules             | deny#<kind>#<hash>             | admin      | when none of its tokens live |
| audit entry | audit             | revision, 12 digits            | admin      | never   |
| idempotency | idem#<caller>     | the key                        | admin      | 24 h    |
| session     | sessions#<hex>    | subject hash + session hash    | token, admin | a day after its end |
| roster      | sessions#<hex>    | subject hash + !               | token      | never   |
| member item | members#<flag>#<hex> | user#<id>, org#<id>         | admin      | never   |
| import      | imports#<flag>    | current, past#<id>             | admin      | never   |
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from headgate.core.audit import GENESIS
from headgate.core.deny import DenyKind
from headgate.core.documents import canonical
from headgate.core.flag import read_flag
from headgate.core.model import Flag, Json
from headgate.store.port import Item, Key, Page, Table, Unavailable

HEAD_KEY: Key = ("head", "head")
RULES, DENIALS, AUDIT = "rules", "denials", "audit"
ROUTES_KEY: Key = (RULES, "routes")
PROFILE_KEY: Key = (RULES, "profile")
KEYRING_KEY: Key = (RULES, "keys")
FLAG_PREFIX = "flag#"
DENY_PREFIX = "deny#"
SHARDS = "0123456789abcdef"
"""Partitions of sessions, and of each flag's member items: the first hex digit of a hash."""


@dataclass(frozen=True, slots=True)
class Head:
    """The newest revision, its digest, and every killed flag with its reach.

    `home` is where it was written first, or confirmed last. In a restored table, it is still that of the other table.
    """

    revision: int = 0
    digest: str = GENESIS
    killed: Mapping[str, str] = field(default_factory=dict)
    home: str = ""

    def is_at(self, home: str) -> bool:
        """Whether it was written for this home (see `Table.home`), or nothing was ever written."""
        return self.revision == 0 or f"{self.home}@".startswith(f"{home}@")


def read_head(item: Item | None) -> Head:
    """Read the head. An empty table has revision 0. Raises `Unavailable` if the head cannot be read."""
    if item is None:
        return Head()
    try:
        killed = json.loads(str(item["killed"]))
        head = Head(int(item["revision"]), str(item["digest"]), killed, str(item.get("home", "")))
    except (KeyError, ValueError, RecursionError):
        raise Unavailable("head") from None
    if head.revision < 1 or not isinstance(head.killed, dict):
        raise Unavailable("head")
    return head


def every_item(
    table: Table, pk: str, *, after: str = "", before: str | None = None, at_once: int | None = None
) -> Iterator[Item]:
    """Yield all items of a partition in order, read page by page; `at_once` limits a page."""
    for page in every_page(table, pk, after=after, before=before, at_once=at_once):
        yield from page.items


def every_page(
    table: Table, pk: str, *, after: str = "", before: str | None = None, at_once: int | None = None
) -> Iterator[Page]:
    """Yield a partition's pages in order, each read when it is asked for."""
    cursor: str | None = after
    while cursor is not None:
        page = table.query(pk, after=cursor, before=before, limit=at_once)
        yield page
        cursor = page.next


def head_of(table: Table) -> Head:
    """Return the head as of now, by one consistent read. Raises `Unavailable`."""
    return read_head(table.get((HEAD_KEY,)).get(HEAD_KEY))


def head_item(head: Head) -> Item:
    """The head as stored."""
    return {"pk": HEAD_KEY[0], "sk": HEAD_KEY[1], "revision": head.revision, "digest": head.digest,
            "killed": canonical(dict(head.killed)), "home": head.home}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Stored:
    """A stored record of the rules. `document` is None if the record is retired, or if it is not JSON."""

    version: int
    document: Json
    retired: bool = False


def flag_key(key: str) -> Key:
    """Where a flag is stored."""
    return RULES, FLAG_PREFIX + key


def deny_key(kind: DenyKind, value: str) -> Key:
    """Where a denial is stored. The key has a fixed maximum length, whatever the value."""
    return DENIALS, f"{DENY_PREFIX}{kind}#{sha256(value.encode('utf-8', 'surrogatepass')).hexdigest()[:32]}"


def member_key(flag: str, kind: str, name: str) -> Key:
    """Where the history of one id on a flag's list is stored: in one of 16 partitions."""
    sk = f"{kind}#{name}"
    return members_in(flag, sha256(sk.encode()).hexdigest()[0]), sk


def members_in(flag: str, shard: str) -> str:
    """The partition of one sixteenth of a flag's member items."""
    return f"members#{flag}#{shard}"


def import_key(flag: str, past: str | None = None) -> Key:
    """Where the newest import of a flag is stored, or a past one by its id."""
    return f"imports#{flag}", "current" if past is None else f"past#{past}"


def read_stored(item: Item) -> Stored:
    """Read a record of the rules. A body that is not JSON gives no document, so its reader quarantines it."""
    try:
        document = json.loads(str(item.get("body", "")))
    except (ValueError, RecursionError):
        document = None
    version = item.get("version")
    return Stored(version if isinstance(version, int) else 0, document, bool(item.get("retired")))


def stored_at(table: Table, key: Key) -> Stored | None:
    """Return a record of the rules as of now, by one consistent read, or None."""
    item = table.get((key,)).get(key)
    return None if item is None else read_stored(item)


def flag_in(stored: Stored | None, key: str) -> Flag | None:
    """The flag in its record, quarantined if it cannot be read; None if there is none, or if it is retired."""
    return None if stored is None or stored.retired else read_flag(key, stored.document)


def stored_item(key: Key, version: int, document: Json, expires: int | None = None) -> Item:
    """A record of the rules. Without a document, it is retired for good. `expires` is DynamoDB's TTL (Unix seconds)."""
    item: dict[str, str | int] = {"pk": key[0], "sk": key[1], "version": version}
    item |= {} if expires is None else {"expires": expires}
    return item | ({"retired": 1} if document is None else {"body": canonical(document)})


def audit_sk(revision: int) -> str:
    """A revision as a sort key: 12 digits, so that text order is numeric order."""
    return f"{revision:012d}"


def entry_item(entry: Mapping[str, Any]) -> Item:
    """An audit entry as stored."""
    return {"pk": AUDIT, "sk": audit_sk(entry["revision"]), "body": canonical(entry)}


def read_entry(item: Item) -> dict[str, Any]:
    """Read an audit entry. Raises `ValueError` if it is not one."""
    entry = json.loads(str(item["body"]))
    if not isinstance(entry, dict):
        raise ValueError("the audit entry is not an object")
    return entry
