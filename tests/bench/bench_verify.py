"""The cost of verifying a token, and its ratio to a bare ES256 verification: `python tests/bench/bench_verify.py`.

Bars: a new token at most 2 times the bare verification, a remembered one at most 0.3 times. All in one process, in
turns, best of many rounds, in processor time: wall-clock time would measure other load.
"""

import base64
import os
import resource
import subprocess
import sys
import tempfile
import time
import timeit
from collections.abc import Callable, Mapping

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from headgate.tokens.claims import Kind
from headgate.tokens.issue import Grant, issue
from headgate.tokens.keys import LocalSigner, key_set
from headgate.tokens.verify import VerifiedTokens, Verifier

ROUNDS, CALLS = 40, 200
KINDS = frozenset({Kind.ACCESS, Kind.SESSION})
IMPORTS = {
    "interpreter": "pass",
    "cryptography's EC key": "import cryptography.hazmat.primitives.asymmetric.ec",
    "tokens.verify": "import headgate.tokens.verify",
    "tokens.issue": "import headgate.tokens.issue",
    "tokens.identity": "import headgate.tokens.identity",
    "PyJWT": "import jwt",
}


def contestants() -> dict[str, Callable[[], object]]:
    """The operations to measure, on one token of typical size."""
    signer = LocalSigner("arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab")
    now = time.time()
    grant = Grant(
        kind=Kind.ACCESS,
        issuer="https://gate.example",
        audience="headgate",
        subject="user-0123456789",
        client_id="web",
        lifetime=3_600,
        rev=120,
        orgs=("org-1", "org-2", "org-3"),
        attributes={"plan": "pro", "seats": 12},
        entitlements=("gastown-access", "gastown-convoys", "gastown-multi-rig", "gastown-pr-merge"),
        extra={"gastownAccess": True, "version": 3},
    )
    token, _ = issue(signer, grant, now)
    message, _, signature = token.rpartition(".")
    raw = base64.urlsafe_b64decode(signature + "==")
    der = encode_dss_signature(int.from_bytes(raw[:32]), int.from_bytes(raw[32:]))
    public, ecdsa, data = signer.public(), ec.ECDSA(SHA256()), message.encode()
    first = Verifier(grant.issuer, grant.audience, key_set([public]))
    again = Verifier(grant.issuer, grant.audience, key_set([public]), VerifiedTokens())
    again.verify(token, now, KINDS)
    head, tail = token[:-1], token[-1]
    print(f"token of {len(token)} bytes")
    return {
        "bare ES256 verify": lambda: public.key.verify(der, data, ecdsa),
        "first sight": lambda: first.verify(token, now, KINDS),
        "seen before": lambda: again.verify(head + tail, now, KINDS),  # a new string, whose hash is not cached
        "PyJWT decode": lambda: jwt.decode(token, public.key, ["ES256"], audience="headgate", issuer=grant.issuer),
        "issue, key in process": lambda: issue(signer, grant, now),
    }


def measure(contest: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Best processor time per call in microseconds, in interleaved rounds."""
    best = dict.fromkeys(contest, float("inf"))
    for _ in range(ROUNDS):
        for name, call in contest.items():
            best[name] = min(best[name], timeit.timeit(call, number=CALLS, timer=time.process_time) / CALLS * 1e6)
    return best


def imported(statement: str) -> float:
    """Least processor time of a fresh process in milliseconds, byte-compiled like the layer."""
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {"PYTHONPYCACHEPREFIX": folder}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        _processor_seconds(statement, environment)  # writes the .pyc files
        return min(_processor_seconds(statement, environment) for _ in range(15)) * 1e3


def _processor_seconds(statement: str, environment: Mapping[str, str]) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", statement], check=True, env=environment)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> int:
    """Print, and fail if a bar is missed."""
    best = measure(contestants())
    bare = best["bare ES256 verify"]
    for name, microseconds in best.items():
        print(f"{name:24} {microseconds:8.2f} us  {microseconds / bare:6.3f} x bare")
    for name, statement in IMPORTS.items():
        print(f"import {name:24} {imported(statement):6.1f} ms")
    return 0 if best["first sight"] <= 2 * bare and best["seen before"] <= 0.3 * bare else 1


if __name__ == "__main__":
    sys.exit(main())
