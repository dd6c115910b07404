"""The configuration of the legacy issuer: everything said and within bounds, or refused with every fault."""

import json
from typing import Any

import pytest

from headgate.core.documents import Invalid, rfc3339
from headgate.tokens import limits
from headgate.tokens.legacy_issuer import LegacyIssuer, NoSecret, parse_legacy_issuer, shared_secret

NOW = 1_800_000_000
GOOD: dict[str, Any] = {
    "algorithm": "HS256",
    "version": 3,
    "accept_until": rfc3339(NOW + 86_400),
    "issued_before": rfc3339(NOW + 3_600),
    "claims": {"user": "kiloUserId", "access": "gastownAccess", "admin": "isAdmin"},
}


def faults(document: object) -> dict[str, str]:
    """Path to message of everything wrong."""
    with pytest.raises(Invalid) as caught:
        parse_legacy_issuer(document if isinstance(document, str) else json.dumps(document), NOW)
    return dict(caught.value.faults)


def test_everything_that_must_be_said() -> None:
    assert parse_legacy_issuer(json.dumps(GOOD), NOW) == LegacyIssuer(
        version=3,
        accept_until=NOW + 86_400,
        issued_before=NOW + 3_600,
        user="kiloUserId",
        access="gastownAccess",
        admin="isAdmin",
    )


@pytest.mark.parametrize("name", GOOD)
def test_nothing_has_a_default(name: str) -> None:
    assert name in faults({member: value for member, value in GOOD.items() if member != name})


def test_every_fault_is_told() -> None:
    assert set(faults({"x": 1, "claims": {"user": " ", "sub": "x"}})) == {
        "x", "algorithm", "version", "accept_until", "issued_before", "claims.sub", "claims.user", "claims.access",
        "claims.admin", "claims",
    }  # fmt: skip


@pytest.mark.parametrize("text", ["", "{", "null", "[]", '"x"', "1", '{"a":1,"a":2}', '{"a":NaN}', "\ud800"])
def test_what_is_no_object(text: str) -> None:
    assert faults(text)


@pytest.mark.parametrize("algorithm", ["none", "hs256", "HS512", "RS256", "ES256", ["HS256"], "", None, True])
def test_no_other_algorithm_can_be_configured(algorithm: object) -> None:
    assert set(faults(GOOD | {"algorithm": algorithm})) == {"algorithm"}


@pytest.mark.parametrize("version", ["3", 3.0, True, None, -1, [3]])
def test_a_version_is_a_whole_number(version: object) -> None:
    assert set(faults(GOOD | {"version": version})) == {"version"}


@pytest.mark.parametrize("name", ["accept_until", "issued_before"])
@pytest.mark.parametrize(
    "time", ["", "never", "2027-01-15", "2027-01-15T08:00:00", NOW, None, "9999-99-99T00:00:00Z", True], ids=repr
)
def test_a_time_is_rfc_3339_with_an_offset(name: str, time: object) -> None:
    assert name in faults(GOOD | {name: time})


def test_accept_until_is_bounded_at_every_start() -> None:
    bound = NOW + limits.LEGACY_PERIOD
    assert parse_legacy_issuer(json.dumps(GOOD | {"accept_until": rfc3339(bound)}), NOW).accept_until == bound
    assert set(faults(GOOD | {"accept_until": rfc3339(bound + 1)})) == {"accept_until"}
    assert set(faults(GOOD | {"accept_until": "9999-12-31T23:59:59Z"})) == {"accept_until"}


def test_a_time_that_is_over_does_not_stop_the_function() -> None:
    over = GOOD | {"accept_until": "2001-01-01T00:00:00Z", "issued_before": "2001-01-01T00:00:00+00:00"}
    assert parse_legacy_issuer(json.dumps(over), NOW).accept_until < NOW


def test_the_cut_off_is_no_later_than_the_end() -> None:
    assert set(faults(GOOD | {"issued_before": rfc3339(NOW + 86_401)})) == {"issued_before"}


def test_three_claims_say_three_things() -> None:
    assert set(faults(GOOD | {"claims": {"user": "id", "access": "yes", "admin": "yes"}})) == {"claims"}
    assert set(faults(GOOD | {"claims": []})) >= {"claims"}


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param("s" * 31, id="31 bytes"),
        pytest.param("ü" * 15, id="30 bytes, 15 characters"),
        pytest.param("s" * 40 + "\n", id="line end"),
        pytest.param(" " + "s" * 40, id="blank before"),
        pytest.param('{"NEXTAUTH_SECRET": "' + "s" * 40 + '"}', id="name and value"),
        pytest.param("-----BEGIN PUBLIC KEY-----\n" + "s" * 90 + "\n-----END PUBLIC KEY-----", id="public key"),
        pytest.param('{"kty": "EC", "crv": "P-256", "x": "' + "s" * 43 + '"}', id="JWK"),
    ],
)
def test_what_can_be_no_shared_secret(text: str) -> None:
    with pytest.raises(NoSecret) as caught:
        shared_secret(text)
    assert "ssss" not in str(caught.value)


def test_a_secret_is_its_bytes() -> None:
    assert shared_secret("s" * 32) == b"s" * 32
    assert shared_secret("ü" * 16) == "ü".encode() * 16
    assert shared_secret("{" + "s" * 40) == b"{" + b"s" * 40
