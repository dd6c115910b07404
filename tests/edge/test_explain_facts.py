"""An explanation tells what each step looked at, so that a missing org and a high bucket are told apart."""

from typing import Any

import pytest
from desk import Ask, Desk, quiet
from fake_clock import FakeClock
from reference_table import ReferenceTable

RULE = {"clauses": [{"attribute": "plan", "op": "equals", "value": "pro"}]}


def explained(subject: dict[str, Any], **members: Any) -> dict[str, Any]:
    """The explanation of flag `sub`, which requires `f`."""
    desk = Desk(ReferenceTable(), FakeClock())
    flags = [{"key": "f", **members}, {"key": "sub", "stage": "ga", "requires": ["f"]}]
    desk.must(Ask("POST /admin/v1/manifest", {"access": "f", "flags": flags, "reason": "why"}))
    told: dict[str, Any] = desk.must(Ask("POST /admin/v1/explain", {"flag": "f", "subject": subject})).body
    below = desk.must(Ask("POST /admin/v1/explain", {"flag": "sub", "subject": subject})).body
    facts = {step["step"]: step["facts"] for step in told["steps"]}
    (parent,) = (step["facts"] for step in below["steps"] if step["step"] == "requires")
    assert parent == {"reason": told["reason"], **(facts["percentage"] if told["reason"] == "SPLIT" else {})}
    assert "salt-of-f" not in str(told)
    return {**told, "facts": facts}


@pytest.mark.parametrize("algorithm", ["sha256-v1", "posthog-v1"])
@quiet()
def test_bucket_is_the_least_percent_that_does_not_let_in(algorithm: str) -> None:
    share = {"stage": "percentage", "percent": 50, "salt": "salt-of-f", "algorithm": algorithm}
    for number in range(20):
        told = explained({"user": f"u{number}"}, **share)
        facts = told["facts"]["percentage"]
        (place,) = facts["buckets"]
        assert (facts["unit"], facts["percent"], place["id"]) == ("user", 50, f"u{number}")
        assert told["value"] is (place["at"] < 50)
    assert explained({"user": "u1"}, **{**share, "percent": place_of("u1", share)})["value"] is False
    assert explained({"user": "u1"}, **{**share, "percent": round(place_of("u1", share) + 0.001, 3)})["value"] is True


def place_of(user: str, share: dict[str, Any]) -> float:
    at: float = explained({"user": user}, **share)["facts"]["percentage"]["buckets"][0]["at"]
    return at


@pytest.mark.parametrize(
    ("unit", "subject", "ids"),
    [
        ("org", {"user": "bob"}, []),
        ("org", {"user": "bob", "orgs": ["acme", "other"]}, ["acme", "other"]),
        ("org_or_user", {"user": "bob"}, ["bob"]),
        ("user", {"orgs": ["acme"]}, []),
    ],
)
@quiet()
def test_percentage_names_the_ids_that_it_places(unit: str, subject: dict[str, Any], ids: list[str]) -> None:
    told = explained(subject, stage="percentage", percent=0, unit=unit, salt="salt-of-f")
    assert (told["value"], told["reason"]) == (False, "SPLIT")
    assert [one["id"] for one in told["facts"]["percentage"]["buckets"]] == ids


@quiet()
def test_listing_tells_by_what() -> None:
    allow = {"users": ["ann"], "orgs": ["acme"], "rules": [RULE]}
    for subject, facts in (
        ({"user": "ann"}, {"by_id": True, "rules": []}),
        ({"user": "bob", "orgs": ["acme"]}, {"by_id": True, "rules": []}),
        ({"user": "bob", "attributes": {"plan": "pro"}}, {"by_id": False, "rules": [0]}),
        ({"user": "bob"}, {"by_id": False, "rules": []}),
    ):
        assert explained(subject, stage="allowlist", allow=allow)["facts"]["listed"] == facts
