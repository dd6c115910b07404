"""The way through the API's front: a CDN or firewall adds a secret header to what it sends on.

Whoever finds the API's own host name can send requests past the front. Where the header is required, these are refused.
Only the secret's digest is configured, so that neither the template nor a function's variables contain the secret. It
must be random: a digest of something that can be guessed is no secret.
"""

from collections.abc import Iterable
from hashlib import sha256
from hmac import compare_digest

from headgate.edge.http import Request

HEADER = "x-headgate-origin"


def came_through_front(request: Request, digests: Iterable[str]) -> bool:
    """Return whether the header has one of these SHA-256 digests (hexadecimal). True if none is configured."""
    known = tuple(digests)
    if not known:
        return True
    sent = sha256(request.headers.get(HEADER, "").encode("utf-8", "surrogatepass")).hexdigest()
    return any(compare_digest(sent, digest) for digest in known)
