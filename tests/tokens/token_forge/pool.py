"""Valid tokens to mutate: each kind, each key that verifies, minimal and full claims."""

from typing import Any

from token_forge.own import ACTIVE, ANY, CLAIMS, HEADER, NEXT, NOW, PREVIOUS, TYP, b64, sign, text, verifier

from headgate.tokens.claims import Credential, Kind
from headgate.tokens.compact import decode
from headgate.tokens.keys import ORDER, LocalSigner

SIGNERS = (ACTIVE, NEXT, PREVIOUS)
RICH: dict[str, Any] = {
    "nbf": NOW,
    "orgs": ["org-é", *(f"org-{n}" for n in range(20))],
    "entitlements": [f"flag-{n}" for n in range(30)],
    "attributes": {"plan": "pro", "seats": 12, "beta": True, "tags": ["a", "b"]},
    "admin": True,
    "gastownAccess": True,
    "version": 3,
}
NOT_FOR = {
    Kind.ACCESS: set(),
    Kind.SESSION: {"admin", "entitlements"},
    Kind.EVALUATE: {"entitlements"},
    Kind.SERVICE: {"orgs", "admin", "attributes", "entitlements"},
}


def rich(kind: Kind) -> dict[str, Any]:
    """The claims of a kind with all optional ones."""
    return CLAIMS[kind] | {name: value for name, value in RICH.items() if name not in NOT_FOR[kind]}


def header_of(kind: Kind, by: LocalSigner = ACTIVE) -> dict[str, Any]:
    """The header of a kind with the id of the signing key."""
    return HEADER | {"typ": TYP[kind], "kid": by.kid}


def twin(token: str) -> str:
    """The same token with the signature (r, n - s), which also verifies: the same credential (Z37)."""
    head, _, signature = token.rpartition(".")
    raw = decode(signature)
    return f"{head}.{b64(raw[:32] + (ORDER - int.from_bytes(raw[32:])).to_bytes(32))}"


POOL = tuple(
    sign(text(header_of(kind, by)), text(claims), by)
    for kind in Kind
    for by in SIGNERS
    for claims in (CLAIMS[kind], rich(kind))
)
GOOD: dict[str, Credential] = {token: verifier().verify(token, NOW, ANY) for token in POOL}
"""Every text that must be accepted, with its credential."""
TWINS: dict[str, Credential] = {twin(token): credential for token, credential in GOOD.items()}
