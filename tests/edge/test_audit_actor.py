"""The audit stream is filtered by caller: by the ARN, or by the part of it that the command shows."""

import pytest
from desk import Ask, Desk, quiet
from fake_clock import FakeClock
from reference_table import ReferenceTable


@pytest.mark.parametrize(
    ("actor", "found"),
    [
        ("arn:aws:iam::123456789012:role/ann", ["a"]),
        ("role/ann", ["a"]),
        ("role/bo", ["b"]),
        ("ann", []),
        ("role/a", []),
        ("", []),
    ],
)
@quiet()
def test_actor_is_an_arn_or_its_last_part(actor: str, found: list[str]) -> None:
    desk = Desk(ReferenceTable(), FakeClock())
    for key, caller in (("a", "ann"), ("b", "bo")):
        desk.must(
            Ask("PUT /admin/v1/flags/{key}", {"key": key, "reason": "why"}, {"key": key}, {"if-none-match": "*"},
                caller=caller)
        )  # fmt: skip
    entries = desk.must(Ask("GET /admin/v1/audit", query={"actor": actor})).body["entries"]
    assert [entry["flag"] for entry in entries] == found
