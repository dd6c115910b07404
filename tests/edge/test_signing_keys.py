"""The pool as a verifier, a signer and the published set see it, and as an operator does, whatever is on record."""

import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from fake_clock import FakeClock
from reference_table import ReferenceTable

from headgate.core.keyring import LONGEST_TOKEN_LIFE
from headgate.edge.admin.call import Admin, handle
from headgate.edge.key_pool import KeyPool
from headgate.openapi import SERVED
from headgate.store.items import KEYRING_KEY
from headgate.store.port import Put, Unavailable
from headgate.store.record import Record
from headgate.store.sessions import Sessions
from headgate.store.snapshots import SOFT_TTL, Snapshots
from headgate.tokens.keys import LocalSigner, jwks

POOL = ("k1", "k2", "k3")


class Kept(LocalSigner):
    """A key that tells its public half, as KMS does, as long as it answers; it counts how often it was asked."""

    def __init__(self, kid: str) -> None:
        private = ec.generate_private_key(ec.SECP256R1())
        super().__init__(kid, private)
        self._der = private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        self.asked, self.answers = 0, True

    def public_key(self) -> bytes:
        self.asked += 1
        if not self.answers:
            raise Unavailable("KMS")
        return self._der


class World:
    """An environment that verifies and signs, and an operator at another."""

    def __init__(self) -> None:
        self.clock, self.table = FakeClock(), ReferenceTable()
        self.kept = {kid: Kept(kid) for kid in POOL}
        self.snapshots = Snapshots(self.table, clock=self.clock)
        self.keys = KeyPool(tuple(self.kept.values()), self.snapshots)
        self._calls = 0

    def refreshed(self) -> KeyPool:
        """The pool when the rules have been looked at again."""
        self.clock.advance(SOFT_TTL)
        self.snapshots.soft()
        return self.keys

    def published(self) -> list[str]:
        return [key["kid"] for key in jwks(self.keys)["keys"]]

    def call(self, route: str, **body: str) -> tuple[int, Any]:
        """An operator's signed call, answered by an environment that has just started."""
        self._calls += 1
        admin = Admin(
            table=self.table, snapshots=Snapshots(self.table, clock=self.clock),
            record=Record(self.table, clock=self.clock, pause=self.clock.pause),
            sessions=Sessions(self.table, clock=self.clock), pool=POOL, clock=self.clock,
        )  # fmt: skip
        event = {
            "rawPath": route.split()[1], "headers": {"idempotency-key": f"call-{self._calls}"},
            "body": json.dumps({"reason": "a test", **body}),
            "requestContext": {
                "routeKey": route, "requestId": "r", "http": {"sourceIp": "192.0.2.1"},
                "authorizer": {"iam": {"userArn": "arn:aws:iam::1:role/admin", "callerId": "A:admin"}},
            },
        }  # fmt: skip
        answer = handle(admin, SERVED, event)
        return answer["statusCode"], json.loads(answer["body"])

    def spoil(self, body: str) -> None:
        """The record of the keys becomes something else."""
        self.table.write([Put({"pk": KEYRING_KEY[0], "sk": KEYRING_KEY[1], "version": 1, "body": body})])


@pytest.fixture
def world() -> World:
    return World()


def test_every_key_verifies_before_it_signs(world: World) -> None:
    assert world.keys.signer.kid == "k1"
    assert world.published() == list(POOL)
    world.call("POST /admin/v1/keys/rotate")
    assert world.keys.signer.kid == "k1", "for 5 s at most, where nothing is decided live"
    assert world.refreshed().signer.kid == "k2"
    assert all(world.keys[kid].verifies for kid in POOL)
    assert [kept.asked for kept in world.kept.values()] == [1, 1, 1], "public keys are asked for once"


def test_a_revoked_key_neither_verifies_nor_is_published(world: World) -> None:
    assert world.keys["k1"].verifies
    world.call("POST /admin/v1/keys/revoke", kid="k1")
    assert world.refreshed().signer.kid == "k2"
    assert not world.keys["k1"].verifies
    assert world.published() == ["k2", "k3"]


def test_an_unknown_key_id_costs_nothing(world: World) -> None:
    for _ in range(1_000):
        assert world.keys.get("k9") is None
    assert not world.keys.unavailable
    assert [kept.asked for kept in world.kept.values()] == [0, 0, 0]


def test_a_key_that_cannot_be_fetched_is_unavailable_and_comes_back(world: World) -> None:
    world.kept["k1"].answers = False
    assert world.keys.get("k1") is None
    assert world.keys.unavailable
    with pytest.raises(KeyError):
        jwks(world.keys)
    world.kept["k1"].answers = True
    assert world.keys["k1"].verifies
    assert not world.keys.unavailable


@pytest.mark.parametrize("body", ["", "{", "null", '{"keys": []}', '{"keys": [{"kid": "k1"}]}', '{"keys": "all"}'])
def test_a_record_that_cannot_be_read_opens_nothing_and_is_seen(world: World, body: str) -> None:
    world.call("POST /admin/v1/keys/revoke", kid="k1")
    world.spoil(body)
    with pytest.raises(Unavailable):
        _ = world.refreshed().signer
    assert list(world.keys) == []
    assert world.published() == []
    assert world.call("GET /admin/v1/keys")[1]["keys"] == []
    assert world.call("GET /admin/v1/health")[1]["status"] == "degraded"
    for route in ("rotate", "revoke"):
        status, problem = world.call(f"POST /admin/v1/keys/{route}", **({"kid": "k2"} if route == "revoke" else {}))
        assert (status, problem["type"]) == (409, "urn:headgate:cannot-rotate")
        assert "cannot be read" in problem["detail"]


def test_an_hour_later_the_pool_goes_round(world: World) -> None:
    for expected in (200, 200, 409):
        assert world.call("POST /admin/v1/keys/rotate")[0] == expected
    assert world.refreshed().signer.kid == "k3"
    world.clock.advance(LONGEST_TOKEN_LIFE)
    assert world.call("POST /admin/v1/keys/rotate")[0] == 200
    assert world.refreshed().signer.kid == "k1"
    shown = {key["kid"]: key["state"] for key in world.call("GET /admin/v1/keys")[1]["keys"]}
    assert shown == {"k1": "active", "k2": "next", "k3": "previous"}
    assert [key["age_seconds"] for key in world.call("GET /admin/v1/keys")[1]["keys"]] == [SOFT_TTL] * 3
