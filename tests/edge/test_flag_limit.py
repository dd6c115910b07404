"""No more flags than a snapshot is sized for: refused on write, however they come."""

from desk import Ask, Desk
from fake_clock import FakeClock
from reference_table import ReferenceTable

from headgate.core.flag import flag_document
from headgate.core.limits import MAX_FLAGS
from headgate.core.model import Flag
from headgate.store.items import Head, flag_key, head_item, stored_item

WHY = {"reason": "a test"}


def filled(count: int) -> Desk:
    """A table with so many flags."""
    table, keys = ReferenceTable(), [f"f{number}" for number in range(count)]
    documents = {key: flag_document(Flag(key, "s", revision=1)) for key in keys}
    rules = {flag_key(key)[1]: stored_item(flag_key(key), 1, document) for key, document in documents.items()}
    table.restore({"rules": rules, "head": {"head": head_item(Head(1, "d", {}))}})
    return Desk(table, FakeClock())


def creation(key: str) -> Ask:
    return Ask("PUT /admin/v1/flags/{key}", WHY, {"key": key}, {"if-none-match": "*"})


def manifest(*keys: str) -> Ask:
    return Ask("POST /admin/v1/manifest", {"flags": [{"key": key} for key in keys], **WHY})


def test_the_last_flag_and_one_more() -> None:
    desk = filled(MAX_FLAGS - 1)
    assert desk.answers(manifest("last", "one-more")).slug == "invalid-body"
    assert desk.must(creation("last")).status == 201
    desk.must(Ask("GET /admin/v1/routes"))
    refused = desk.answers(creation("one-more"))
    assert (refused.status, refused.slug) == (413, "too-large")
    assert desk.answers(manifest("one-more")).slug == "invalid-body"
    assert desk.answers(creation("last")).slug == "exists"
    assert desk.must(manifest("last")).status == 200
