"""Whether the identity providers and the stack's own issuer answer, asked from this machine."""

from collections.abc import Iterator

from headgate.tokens.compact import read_object
from headgate.tokens.fetch import Fetch, FetchFailed, fetch
from headgate.tokens.issuers import IdentityIssuer
from headgate.tokens.jwks import key_set_url, read_keys
from headgate.tokens.refusals import TokenRefused
from headgate_cli.doctor.checked import Checked

METADATA = "/.well-known/oauth-authorization-server"


def check_provider(issuer: IdentityIssuer, load: Fetch = fetch) -> Checked:
    """Check that an identity provider's keys can be fetched, as the token function fetches them."""
    try:
        found = read_keys(load(key_set_url(issuer, load)).body, issuer.algorithms)
    except (FetchFailed, TokenRefused) as failure:
        return Checked("issuers", f"the keys of {issuer.issuer} cannot be fetched: {failure}", failed=True)
    if not found:
        told = f"{issuer.issuer} publishes no usable key for {', '.join(issuer.algorithms)}"
        return Checked("issuers", told, failed=True)
    return Checked("issuers", f"{issuer.issuer} answers")


def check_own(api: str, issuer: str, load: Fetch = fetch) -> Iterator[Checked]:
    """Check that the API at `api` answers, calls itself `issuer` (if empty: its own URL), and publishes keys."""
    try:
        metadata = read_object(load(api + METADATA).body)
        keys = read_object(load(api + "/.well-known/jwks.json").body).get("keys")
    except (FetchFailed, TokenRefused) as failure:
        yield Checked("issuers", f"the API at {api} does not answer: {failure}", failed=True)
        return
    if metadata.get("issuer") != (issuer or api):
        yield Checked("issuers", f"the API calls itself {metadata.get('issuer')}, not {issuer or api}", failed=True)
    if not keys:
        yield Checked("issuers", "the API publishes no keys: no token can be verified", failed=True)
    if metadata.get("issuer") == (issuer or api) and keys:
        yield Checked("issuers", f"the API answers as {issuer or api}, and publishes its keys")
