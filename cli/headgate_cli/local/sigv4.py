"""Verifies a request's AWS Signature Version 4, and finds the key that signed it.

Only the Authorization header is read; a signature in the query string is refused. It must not know what the caller may
do.
Source: AWS IAM User Guide, "Create a signed AWS API request": the canonical request, the string to sign, the key.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from urllib.parse import quote, unquote_to_bytes

_SERVICE = "execute-api"
_SKEW = timedelta(minutes=5)
_ALGORITHM = "AWS4-HMAC-SHA256"
_AUTHORIZATION = re.compile(
    r"^AWS4-HMAC-SHA256 +Credential=([A-Za-z0-9]{16,128})/(\d{8})/([a-z0-9-]+)/([a-z0-9-]+)/aws4_request *,"
    r" *SignedHeaders=([a-z0-9;_-]+) *, *Signature=([0-9a-f]{64})$"
)


class SignatureRefused(Exception):
    """The request has no valid signature. The text is for the log, never for the caller."""


@dataclass(frozen=True, slots=True)
class Signable:
    """What a signature covers: `path` and `query` as on the wire, header names in lower case and in wire order."""

    method: str
    path: str
    query: str
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def header(self, name: str) -> str:
        """Return the value of a header, "" if missing. Raises SignatureRefused if it is repeated."""
        values = [value for key, value in self.headers if key == name]
        if len(values) > 1:
            raise SignatureRefused(f"{name} appears {len(values)} times")
        return values[0] if values else ""


def verify_signature(
    request: Signable, secrets: Mapping[str, str], *, region: str, now: datetime, service: str = _SERVICE
) -> str:
    """Return the access key id that signed the request.

    Checks, in order: the header's format, its scope, the headers that must be signed, the time (within 5 minutes), the
    body's hash, the key, the signature (in constant time). Raises SignatureRefused at the first that fails.
    """
    match = _AUTHORIZATION.match(request.header("authorization"))
    if match is None:
        raise SignatureRefused("no Signature Version 4 in the Authorization header")
    key_id, date, scope_region, scope_service, names, signature = match.groups()
    if (scope_region, scope_service) != (region, service):
        raise SignatureRefused(f"signed for {scope_service} in {scope_region}")
    signed = names.split(";")
    _check_signed_headers(request, signed)
    stamp = request.header("x-amz-date")
    _check_time(stamp, date, now)
    _check_body(request)
    secret = secrets.get(key_id)
    if secret is None or request.header("x-amz-security-token"):
        raise SignatureRefused("unknown access key")
    expected = _signature(request, signed, secret, stamp, (region, service))
    if not hmac.compare_digest(expected, signature):
        raise SignatureRefused("the signature does not match")
    return key_id


def sign(
    request: Signable, *, key_id: str, secret: str, region: str, now: datetime, service: str = _SERVICE
) -> dict[str, str]:
    """Return the headers to add to a request that already has `host`: `x-amz-date` and `authorization`."""
    stamp = now.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
    dated = Signable(
        method=request.method,
        path=request.path,
        query=request.query,
        headers=(*request.headers, ("x-amz-date", stamp)),
        body=request.body,
    )
    signed = sorted({name for name, _ in dated.headers})
    place = (region, service)
    signature = _signature(dated, signed, secret, stamp, place)
    credential = f"{key_id}/{_scope(stamp, place)}"
    authorization = f"{_ALGORITHM} Credential={credential}, SignedHeaders={';'.join(signed)}, Signature={signature}"
    return {"x-amz-date": stamp, "authorization": authorization}


def _check_signed_headers(request: Signable, signed: list[str]) -> None:
    if signed != sorted(set(signed)):
        raise SignatureRefused("the signed headers are not sorted and unique")
    present = {name for name, _ in request.headers}
    missing = set(signed) - present
    if missing:
        raise SignatureRefused(f"signed but missing: {', '.join(sorted(missing))}")
    must = {"host", "x-amz-date"} | {name for name in present if name.startswith("x-amz-")}
    if not must <= set(signed):
        raise SignatureRefused(f"not signed: {', '.join(sorted(must - set(signed)))}")


def _check_time(stamp: str, date: str, now: datetime) -> None:
    try:
        at = datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        raise SignatureRefused("x-amz-date is missing or malformed") from None
    if stamp[:8] != date:
        raise SignatureRefused("the credential's date differs from x-amz-date")
    if abs(now - at) > _SKEW:
        raise SignatureRefused("x-amz-date is more than 5 minutes off")


def _check_body(request: Signable) -> None:
    declared = request.header("x-amz-content-sha256")
    if declared and not hmac.compare_digest(declared.encode(), _body_hash(request).encode()):
        raise SignatureRefused("x-amz-content-sha256 is not the hash of the body")


def _body_hash(request: Signable) -> str:
    return hashlib.sha256(request.body).hexdigest()


def _signature(request: Signable, signed: list[str], secret: str, stamp: str, place: tuple[str, str]) -> str:
    """Compute the signature. `place` is its region and service."""
    canonical = hashlib.sha256(_canonical(request, signed).encode()).hexdigest()
    text = "\n".join([_ALGORITHM, stamp, _scope(stamp, place), canonical])
    return hmac.new(_signing_key(secret, stamp[:8], place), text.encode(), hashlib.sha256).hexdigest()


def _scope(stamp: str, place: tuple[str, str]) -> str:
    return "/".join((stamp[:8], *place, "aws4_request"))


@lru_cache(maxsize=64)
def _signing_key(secret: str, date: str, place: tuple[str, str]) -> bytes:
    key = f"AWS4{secret}".encode()
    for part in (date, *place, "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return key


def _canonical(request: Signable, signed: list[str]) -> str:
    lines = [f"{name}:{_joined(request.headers, name)}" for name in signed]
    return "\n".join(
        [
            request.method,
            quote(request.path, safe="/-_.~"),  # encoded twice, as for every service except S3
            _canonical_query(request.query),
            *lines,
            "",
            ";".join(signed),
            _body_hash(request),
        ]
    )


def _joined(headers: Iterable[tuple[str, str]], name: str) -> str:
    return ",".join(" ".join(value.split()) for key, value in headers if key == name)


def _canonical_query(query: str) -> str:
    pairs = (part.partition("=") for part in query.split("&") if part)
    return "&".join(f"{name}={value}" for name, value in sorted((_coded(k), _coded(v)) for k, _, v in pairs))


def _coded(text: str) -> str:
    return quote(unquote_to_bytes(text), safe="-_.~")
