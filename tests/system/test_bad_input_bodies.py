"""Invalid bodies at the admin API: each is rejected with a path to each fault, and nothing changes.

Ids begin with the row in docs/attacks.md: A80 sizes, A81 members, A83 reasons.
"""

from collections.abc import Iterator

import pytest
from bad_bodies import LONE, MALFORMED, MISFIT, UNREASONED, at, encoded, wrong_values
from bad_calls import CALLS, CHANGES, FLAG, Target, aim, crossed, refused

from headgate_cli.local.stack import Stack

MAX_BODY = 393_216


@pytest.fixture(scope="module")
def target(stack: Stack) -> Target:
    """The calls, and a flag to make them on."""
    return aim(stack)


@pytest.fixture(autouse=True)
def unchanged(target: Target) -> Iterator[None]:
    """No row in this file makes an audit entry."""
    yield
    target.expect_unchanged()


@pytest.mark.proof("bad bodies: invalid JSON")
@crossed("A81", CALLS, MALFORMED)
def test_invalid_json_is_rejected(target: Target, name: str, fault: str) -> None:
    refused(target.send(name, MALFORMED[fault](CALLS[name].document)), 400, "invalid-json")


@pytest.mark.proof("bad bodies: JSON of the wrong shape")
@crossed("A81", CALLS, MISFIT)
def test_json_of_the_wrong_shape_is_rejected(target: Target, name: str, fault: str) -> None:
    refused(target.send(name, MISFIT[fault](CALLS[name].document)), 400, "invalid-body")


@pytest.mark.proof("bad bodies: changes without a valid reason")
@crossed("A83", CHANGES, UNREASONED)
def test_change_without_a_valid_reason_is_rejected(target: Target, name: str, fault: str) -> None:
    refused(target.send(name, encoded(UNREASONED[fault](CALLS[name].document))), 400, "invalid-body")


@pytest.mark.parametrize("name", CALLS, ids=[f"A80-{name}" for name in CALLS])
def test_oversized_body_is_rejected(target: Target, name: str) -> None:
    body = encoded(CALLS[name].document)
    refused(target.send(name, body + b" " * (MAX_BODY + 1 - len(body))), 413, "too-large")


FIELDS: tuple[tuple[str, str, str], ...] = (
    ("put", "key", ""),
    ("put", "description", "empty text spaced"),
    ("put", "owner", "empty text spaced"),
    ("put", "stage", ""),
    ("put", "percent", "whole fraction"),
    ("put", "unit", ""),
    ("put", "algorithm", ""),
    ("put", "salt", "empty text spaced"),
    ("put", "requires", "list"),
    ("put", "allow", "object"),
    ("put", "allow.users", "list"),
    ("put", "allow.orgs", "list"),
    ("put", "allow.rules", "list"),
    ("put", "values", ""),
    ("put", "claim", "null text"),
    ("put", "allow_shrink", "true"),
    ("delete", "allow_shrink", "true"),
    ("stage", "stage", ""),
    ("stage", "percent", "null whole fraction"),
    ("stage", "unit", "null"),
    ("stage", "allow_shrink", "true"),
    ("allow", "add", "object"),
    ("allow", "add.users", "list"),
    ("allow", "add.orgs", "list"),
    ("allow", "remove", "object"),
    ("allow", "remove.users", "list"),
    ("kill", "reach", ""),
    ("kill", "drain_until", "null"),
    ("routes", "routes", "list"),
    ("routes", "routes.0", ""),
    ("routes", "routes.0.class", ""),
    ("routes", "routes.0.route", ""),
    ("routes", "routes.0.flags", "list"),
    ("routes", "routes.0.asks", "list"),
    ("routes", "routes.0.procedure", ""),
    ("manifest", "flags", "list"),
    ("manifest", "flags.0", ""),
    ("manifest", "flags.0.stage", ""),
    ("manifest", "flags.0.percent", "whole fraction"),
    ("manifest", "flags.0.requires", "list"),
    ("manifest", "routes", "list"),
    ("manifest", "access", "null text"),
    ("manifest", "max_stale", "whole"),
    ("manifest", "token", "object"),
    ("manifest", "token.lifetime", ""),
    ("manifest", "token.claims", "object members"),
    ("manifest", "token.claims.x", "true whole negative fraction empty text spaced"),
    ("manifest", "prune", "true"),
    ("plan", "max_stale", "whole"),
    ("plan", "prune", "true"),
    ("revocation", "subject", "text"),
    ("revocation", "jti", "null"),
    ("key", "kid", ""),
    ("explain", "flag", "text"),
    ("explain", "subject", "object"),
    ("explain", "subject.orgs", "list"),
    ("explain", "subject.admin", "true"),
    ("explain", "subject.attributes", "object members"),
    ("explain", "as_of", "null whole"),
    ("preview", "flag", "text"),
    ("preview", "change", ""),
    ("preview", "change.stage", ""),
    ("preview", "change.percent", "null whole fraction"),
    ("preview", "change.unit", "null"),
    ("preview", "change.kill", "null"),
    ("preview", "change.put", "null"),
    ("preview", "subjects", "list"),
    ("preview", "subjects.0", "object"),
)


@pytest.mark.parametrize(("name", "path", "fitting"), FIELDS, ids=[f"A81-{name}-{path}" for name, path, _ in FIELDS])
def test_member_of_the_wrong_type_is_rejected(target: Target, name: str, path: str, fitting: str) -> None:
    """Every wrong value, one at a time. The fault names the member, its parent, or its child."""
    for kind, value in wrong_values(fitting):
        answer = target.send(name, encoded(at(CALLS[name].document, path, value)))
        assert (answer.status, answer.slug) == (400, "invalid-body"), (kind, answer.text[:300])
        root = path.partition(".")[0]
        assert any(fault["path"].partition(".")[0] in (root, "$") for fault in answer.json["errors"]), answer.text


@pytest.mark.parametrize("user", [LONE, "a\0b", "x" * 2_000, "ü" * 99, "a b"], ids=ascii)
def test_explain_accepts_any_text_as_a_subject(target: Target, user: str) -> None:
    """A81: explain stores nothing, so any text is a valid subject, and none causes an error."""
    attributes = {user[:64]: user}
    subject = {"user": user, "orgs": [user], "attributes": attributes}
    answer = target.send("explain", encoded({"flag": FLAG, "subject": subject}))
    assert answer.status in (200, 400)
    assert answer.status == 400 or answer.json["value"] in (True, False)
