"""When a provider's keys are fetched, and what applies while it does not answer. The test controls the clock."""

from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from token_forge.own import NOW
from token_forge.provider import IDP, ISSUER, STRANGER_KEY, Provider, ec_jwk, es256, rsa_jwk

from headgate.tokens.issuers import IdentityIssuer
from headgate.tokens.jwks import IdentityUnavailable, KeySource, read_keys
from headgate.tokens.refusals import RefusalCode, TokenRefused

KEYS, CONFIGURATION = f"{IDP}/keys", f"{IDP}/.well-known/openid-configuration"
DISCOVERED = replace(ISSUER, jwks_uri=None)


def source(network: Provider, issuer: IdentityIssuer = ISSUER) -> KeySource:
    """The keys of one issuer on that network."""
    return KeySource(issuer, network.fetch)


def outcome(keys: KeySource, now: float, kid: str | None = "ec-1") -> str:
    """The outcome of a check, as one word. The message is always signed by the key `ec-1`."""
    try:
        keys.check_signature(kid, "ES256", b"message", es256(b"message"), now)
    except IdentityUnavailable:
        return "unavailable"
    except TokenRefused as refused:
        return refused.code.value
    return "found"


@pytest.mark.parametrize(
    ("max_age", "fresh"), [(None, 3_600), (0, 300), (60, 300), (301, 301), (7_200, 7_200), (10**8, 86_400)]
)
def test_the_responses_max_age_is_honored_within_bounds(max_age: int | None, fresh: int) -> None:
    network = Provider(ec_jwk(), max_age=max_age)
    keys = source(network)
    for now in (0, 1, fresh - 1):
        assert outcome(keys, NOW + now) == "found"
    assert len(network.asked) == 1
    assert outcome(keys, NOW + fresh) == "found"
    assert len(network.asked) == 2


def test_the_last_good_key_set_is_kept_while_the_provider_is_down() -> None:
    network = Provider(ec_jwk())
    keys = source(network)
    outcome(keys, NOW)
    network.down = True
    for later in (3_600, 3_660, 40_000, 90_000 - 1):
        assert outcome(keys, NOW + later) == "found"
    assert outcome(keys, NOW + 90_000) == "unavailable"  # fresh for an hour, kept for a day


def test_while_the_provider_is_down_a_stale_set_is_fetched_once_a_minute() -> None:
    network = Provider(ec_jwk())
    keys = source(network)
    outcome(keys, NOW)
    network.down = True
    for second in range(600):
        assert outcome(keys, NOW + 3_600 + second) == "found"
    assert len(network.asked) == 1 + 10


def test_without_a_key_set_a_fetch_is_tried_every_five_seconds() -> None:
    network = Provider(ec_jwk())
    network.down = True
    keys = source(network)
    for second in range(60):
        assert outcome(keys, NOW + second) == "unavailable"
    assert len(network.asked) == 12
    network.down = False
    assert [outcome(keys, NOW + second) for second in (61, 66)] == ["found", "found"]


def test_an_added_key_is_found_after_a_minute_and_a_removed_one_is_dropped() -> None:
    network = Provider(ec_jwk())
    keys = source(network)
    outcome(keys, NOW)
    network.documents[KEYS] = {"keys": [ec_jwk("ec-2")]}
    assert outcome(keys, NOW + 59, "ec-2") == "unknown_key"
    assert outcome(keys, NOW + 60, "ec-2") == "found"
    assert outcome(keys, NOW + 61, "ec-1") == "unknown_key"


def test_a_token_without_a_key_id_is_checked_with_every_key_and_finds_a_new_one_after_a_minute() -> None:
    network = Provider(*(ec_jwk(f"old-{number}", key=STRANGER_KEY) for number in range(9)), ec_jwk())
    keys = source(network)
    assert outcome(keys, NOW, None) == "found"
    network.documents[KEYS] = {"keys": [ec_jwk("new", key=STRANGER_KEY)]}
    assert outcome(keys, NOW + 3_600, None) == "signature"
    network.documents[KEYS] = {"keys": [ec_jwk("new")]}
    assert [outcome(keys, NOW + 3_600 + later, None) for later in (59, 60)] == ["signature", "found"]


def test_a_token_without_a_key_id_is_refused_if_more_than_ten_keys_could_be_meant() -> None:
    network = Provider(*(ec_jwk(f"k-{number}") for number in range(11)))
    assert outcome(source(network), NOW, None) == "key_id"
    assert len(network.asked) == 1


@pytest.mark.parametrize("kid", ["ec-1", "another", None])
def test_a_key_without_an_id_may_be_the_key_of_any_token(kid: str | None) -> None:
    nameless = {name: value for name, value in ec_jwk().items() if name not in ("kid", "use")}
    for entry in (nameless, nameless | {"kid": None, "alg": None, "use": None}):
        assert outcome(source(Provider(entry, rsa_jwk())), NOW, kid) == "found"


def test_two_keys_may_have_one_id() -> None:
    assert outcome(source(Provider(ec_jwk(key=STRANGER_KEY), rsa_jwk("ec-1"), ec_jwk())), NOW) == "found"


def test_a_clock_that_is_set_back_does_not_stop_the_refresh() -> None:
    network = Provider(ec_jwk())
    keys = source(network)
    outcome(keys, NOW)
    network.documents[KEYS] = {"keys": [ec_jwk("ec-2")]}
    assert outcome(keys, NOW - 500, "ec-2") == "found"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b'{"keys":{}}',
        b'{"keys":null}',
        b"\xff",
        b'{"keys":[]}',
        b'{"keys":[1]}',
        b"<html>",
        b'{"keys":',
    ],
)
def test_an_unreadable_key_set_fails_and_the_known_keys_stay(body: bytes) -> None:
    network = Provider(ec_jwk())
    good = network.documents[KEYS]
    keys = source(network)
    outcome(keys, NOW)
    network.documents[KEYS] = body
    assert outcome(keys, NOW + 3_600) == "found"
    assert outcome(keys, NOW + 3_660, "ec-2") == "unavailable"
    fresh = source(network)
    assert outcome(fresh, NOW) == "unavailable"
    network.documents[KEYS] = good
    assert outcome(fresh, NOW + 5) == "found"


def test_a_key_set_of_more_than_a_hundred_keys_is_refused() -> None:
    assert len(read_keys(_set(100), ("ES256",))[None, "ES256"]) == 100
    with pytest.raises(TokenRefused):
        read_keys(_set(101), ("ES256",))


def _set(size: int) -> bytes:
    import json

    return json.dumps({"keys": [ec_jwk(f"k-{n}") for n in range(size)]}).encode()


def test_each_key_verifies_only_algorithms_of_its_type() -> None:
    import json

    large = ec.derive_private_key(7, ec.SECP384R1())
    body = {
        "keys": [ec_jwk(), rsa_jwk(), rsa_jwk("rsa-2", alg="PS256"), ec_jwk("ec-2", large), ec_jwk("ec-3", alg="RS256")]
    }
    found = read_keys(json.dumps(body).encode(), ("RS256", "PS256", "ES256", "ES384"))
    assert {named for named in found if named[0] is not None} == {
        ("ec-1", "ES256"),
        ("rsa-1", "RS256"),
        ("rsa-1", "PS256"),
        ("rsa-2", "PS256"),
        ("ec-2", "ES384"),
    }


def test_discovery_is_fetched_once_and_finds_the_keys() -> None:
    network = Provider(ec_jwk())
    network.documents[CONFIGURATION] = {"issuer": IDP, "jwks_uri": KEYS}
    keys = source(network, DISCOVERED)
    assert outcome(keys, NOW) == "found"
    assert outcome(keys, NOW + 4_000) == "found"
    assert network.asked == [CONFIGURATION, KEYS, KEYS]


def test_a_moved_key_set_is_discovered_again() -> None:
    network = Provider(ec_jwk())
    network.documents[CONFIGURATION] = {"issuer": IDP, "jwks_uri": KEYS}
    keys = source(network, DISCOVERED)
    outcome(keys, NOW)
    moved = "https://keys.example/new"
    network.documents = {CONFIGURATION: {"issuer": IDP, "jwks_uri": moved}, moved: network.documents[KEYS]}
    assert outcome(keys, NOW + 4_000) == "found"
    assert outcome(keys, NOW + 4_060) == "found"
    assert network.asked[-2:] == [CONFIGURATION, moved]


@pytest.mark.parametrize(
    "document",
    [
        {"issuer": IDP + "/", "jwks_uri": KEYS},
        {"issuer": "https://evil.example", "jwks_uri": KEYS},
        {"issuer": [IDP], "jwks_uri": KEYS},
        {"jwks_uri": KEYS},
        {"issuer": IDP},
        {"issuer": IDP, "jwks_uri": None},
        {"issuer": IDP, "jwks_uri": "http://idp.example/keys"},
        {"issuer": IDP, "jwks_uri": "http://127.0.0.1/keys"},
        {"issuer": IDP, "jwks_uri": "http://169.254.169.254/latest"},
        {"issuer": IDP, "jwks_uri": "file:///etc/passwd"},
        {"issuer": IDP, "jwks_uri": "https://user:pass@idp.example/keys"},
        [],
        b"<html>",
    ],
    ids=str,
)
def test_a_discovery_document_of_another_issuer_is_refused(document: object) -> None:
    network = Provider(ec_jwk())
    network.documents[CONFIGURATION] = document
    assert outcome(source(network, DISCOVERED), NOW) == "unavailable"
    assert network.asked == [CONFIGURATION]


def test_an_issuer_with_a_trailing_slash_is_discovered_at_the_right_url() -> None:
    network = Provider(ec_jwk())
    network.documents[CONFIGURATION] = {"issuer": IDP + "/", "jwks_uri": KEYS}
    assert outcome(source(network, replace(DISCOVERED, issuer=IDP + "/")), NOW) == "found"


def test_retry_after_equals_the_pause_between_fetches() -> None:
    assert IdentityUnavailable.retry_after == 5
    assert RefusalCode.UNKNOWN_KEY == "unknown_key"
