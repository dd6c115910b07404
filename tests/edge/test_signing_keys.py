"""The key pool as verifier, signer, published key set, and operator see it, with valid and unreadable records."""

import pytest
from desk import POOL, Ask, Reply
from in_memory_gate import Environment, InMemoryGate, Kms

from headgate.core.keyring import LONGEST_TOKEN_LIFE
from headgate.edge.key_pool import FETCH_PAUSE, KeyPool
from headgate.store.items import KEYRING_KEY
from headgate.store.port import Put, Unavailable
from headgate.store.snapshots import SOFT_TTL
from headgate.tokens.keys import jwks


class SigningKeys(InMemoryGate):
    """An environment that verifies and signs with a pool of three keys, and an operator at another."""

    def __init__(self) -> None:
        super().__init__()
        self.kms = {kid: Kms(kid) for kid in POOL}
        self.snapshots = self.cold()
        self.keys = KeyPool(tuple(self.kms.values()), self.snapshots, clock=self.clock)

    def refreshed(self) -> KeyPool:
        """The pool after the next refresh of the rules."""
        self.clock.advance(SOFT_TTL)
        self.snapshots.soft()
        return self.keys

    def published(self) -> list[str]:
        return [key["kid"] for key in jwks(self.keys)["keys"]]

    def call(self, route: str, **body: str) -> Reply:
        """An operator's signed call, answered by an environment that has just started."""
        return self.desk().answers(Ask(route.replace(" ", " /admin/v1/"), {"reason": "a test", **body}))

    def spoil(self, body: str) -> None:
        """Replace the record of the keys."""
        self.table.write([Put({"pk": KEYRING_KEY[0], "sk": KEYRING_KEY[1], "version": 1, "body": body})])


@pytest.fixture
def gate() -> SigningKeys:
    return SigningKeys()


def test_every_key_is_published_before_it_signs(gate: SigningKeys) -> None:
    assert gate.keys.signer.kid == "key-1"
    assert gate.published() == list(POOL)
    gate.call("POST keys/rotate")
    assert gate.keys.signer.kid == "key-1", "for at most 5 s without a live decision"
    assert gate.refreshed().signer.kid == "key-2"
    assert all(gate.keys[kid].verifies for kid in POOL)
    assert [key.fetched for key in gate.kms.values()] == [1, 1, 1], "each public key is fetched once"


def test_a_revoked_key_neither_verifies_nor_is_published(gate: SigningKeys) -> None:
    assert gate.keys["key-1"].verifies
    gate.call("POST keys/revoke", kid="key-1")
    assert gate.refreshed().signer.kid == "key-2"
    assert not gate.keys["key-1"].verifies
    assert gate.published() == ["key-2", "key-3"]


def test_an_unknown_key_id_fetches_nothing(gate: SigningKeys) -> None:
    for _ in range(1_000):
        assert gate.keys.get("key-9") is None
    assert not gate.keys.unavailable
    assert [key.fetched for key in gate.kms.values()] == [0, 0, 0]


def test_a_key_that_cannot_be_fetched_is_unavailable_until_it_can(gate: SigningKeys) -> None:
    gate.kms["key-1"].fault = Unavailable("KMS")
    assert gate.keys.get("key-1") is None
    assert gate.keys.unavailable
    with pytest.raises(KeyError):
        jwks(gate.keys)
    gate.kms["key-1"].fault = None
    gate.clock.advance(FETCH_PAUSE)
    assert gate.keys["key-1"].verifies
    assert not gate.keys.unavailable


SITES = {"token": "start a session", "evaluate": "evaluate", "authorizer": "enter"}
GARBAGE = ("", "garbage", "a.b.c", f"{'A' * 40}.e30.{'A' * 86}")


@pytest.mark.parametrize("site", SITES)
def test_without_kms_tokens_of_a_known_key_cost_one_call_and_garbage_is_refused(site: str) -> None:
    """Anyone can send tokens that name a published key. Each would cost a call to KMS, and 2 s."""
    gate = InMemoryGate()
    gate.operator().creates("access")
    environment = Environment(gate.table, gate.clock)
    environment.kms.fault = Unavailable("KMS")
    status = {"token": 503, "evaluate": 503, "authorizer": 200}[site]
    for _ in range(20):
        outcome = environment.asks(SITES[site], "mallory")
        assert (outcome.granted, outcome.status) == (False, status)
        gate.clock.advance(0.1)
        for garbage in GARBAGE:
            assert environment.sends(site, garbage) == {"token": 400, "evaluate": 401, "authorizer": 200}[site]
    assert environment.kms.fetched == 1
    gate.clock.advance(FETCH_PAUSE)
    environment.kms.fault = None
    assert environment.asks(SITES[site], "root").granted


@pytest.mark.parametrize("body", ["", "{", "null", '{"keys": []}', '{"keys": [{"kid": "key-1"}]}', '{"keys": "all"}'])
def test_an_unreadable_key_record_disables_all_keys_and_is_reported(gate: SigningKeys, body: str) -> None:
    gate.call("POST keys/revoke", kid="key-1")
    gate.spoil(body)
    with pytest.raises(Unavailable):
        _ = gate.refreshed().signer
    assert list(gate.keys) == []
    assert gate.published() == []
    assert gate.call("GET keys").body["keys"] == []
    assert gate.call("GET health").body["status"] == "degraded"
    for route in ("rotate", "revoke"):
        reply = gate.call(f"POST keys/{route}", **({"kid": "key-2"} if route == "revoke" else {}))
        assert (reply.status, reply.slug) == (409, "cannot-rotate")
        assert "cannot be read" in reply.body["detail"]


def test_a_rotation_reuses_the_first_key_an_hour_later(gate: SigningKeys) -> None:
    for expected in (200, 200, 409):
        assert gate.call("POST keys/rotate").status == expected
    assert gate.refreshed().signer.kid == "key-3"
    gate.clock.advance(LONGEST_TOKEN_LIFE)
    assert gate.call("POST keys/rotate").status == 200
    assert gate.refreshed().signer.kid == "key-1"
    shown = {key["kid"]: key["state"] for key in gate.call("GET keys").body["keys"]}
    assert shown == {"key-1": "active", "key-2": "next", "key-3": "previous"}
    assert [key["age_seconds"] for key in gate.call("GET keys").body["keys"]] == [SOFT_TTL] * 3
