"""The closed set of reasons to refuse a token. Knows nothing about tokens.

The code is for logs, metrics, and tests. Callers get a generic text: a reason would help them guess.
"""

from enum import StrEnum


class RefusalCode(StrEnum):
    """Why a token was refused: one word per check, in the order in which the checks run."""

    ORIGIN = "origin"  # the request did not come through the API's front
    TOO_LARGE = "too_large"
    SHAPE = "shape"  # not three base64url parts
    ENCODING = "encoding"  # base64url with padding, stray bits or an impossible length
    NOT_UTF8 = "not_utf8"
    NOT_JSON = "not_json"
    NOT_OBJECT = "not_object"
    DUPLICATE_MEMBER = "duplicate_member"
    NOT_FINITE = "not_finite"
    TOO_DEEP = "too_deep"
    HEADER_MEMBER = "header_member"  # a required one is missing, or one is not allowed
    ALGORITHM = "algorithm"
    TYPE = "type"
    KIND = "kind"  # one of our kinds that is not accepted here
    KEY_ID = "key_id"  # not a plausible key id, or none where many keys could be meant
    UNKNOWN_KEY = "unknown_key"
    REVOKED_KEY = "revoked_key"
    SIGNATURE = "signature"
    NOT_IDENTITY = "not_identity"  # a provider's access token, or a logout token
    CLAIM_MISSING = "claim_missing"
    CLAIM_FORBIDDEN = "claim_forbidden"  # one that this kind never has
    CLAIM_TYPE = "claim_type"
    ISSUER = "issuer"
    AUDIENCE = "audience"
    AUTHORIZED_PARTY = "authorized_party"
    SCOPE = "scope"
    SUBJECT = "subject"
    PREFIX = "prefix"  # a subject or org that begins as those of another issuer do
    ADMIN = "admin"  # present and not JSON true
    EMAIL_UNVERIFIED = "email_unverified"
    NOT_YET_VALID = "not_yet_valid"
    EXPIRED = "expired"
    LIFETIME = "lifetime"  # ends before it starts, or lives longer than allowed
    TOO_OLD = "too_old"
    REVOKED = "revoked"  # its subject, its `jti`, or its session
    REUSED = "reused"  # a superseded session token, after its minute
    RETIRED = "retired"  # a legacy token after `accept_until`
    VERSION = "version"  # a legacy token of another version
    CUT_OFF = "cut_off"  # a legacy token issued at or after `issued_before`
    NOT_ADMITTED = "not_admitted"  # a legacy token that grants no access
    KEY_UNAVAILABLE = "key_unavailable"  # a legacy token, and the shared secret cannot be read or used
    UNEXPECTED = "unexpected"  # a bug here: denied; alarm on it


class TokenRefused(Exception):
    """A token was refused. `str()` is the code and never contains anything from the token.

    `claim` is the name of the claim that was checked, as the code or the configuration has it; empty if there is none.
    """

    def __init__(self, code: RefusalCode, claim: str = "") -> None:
        super().__init__(code.value)
        self.code, self.claim = code, claim
