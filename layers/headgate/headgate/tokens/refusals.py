"""The closed set of reasons for which a token is refused. Knows nothing of tokens.

The code is for logs, metrics and tests. What a caller is told is generic: a reason is a guide for guessing.
"""

from enum import StrEnum


class RefusalCode(StrEnum):
    """Why. One word per check, in the order in which the checks run."""

    TOO_LARGE = "too_large"
    SHAPE = "shape"  # not three base64url parts
    ENCODING = "encoding"  # base64url with padding, stray bits or an impossible length
    NOT_UTF8 = "not_utf8"
    NOT_JSON = "not_json"
    NOT_OBJECT = "not_object"
    DUPLICATE_MEMBER = "duplicate_member"
    NOT_FINITE = "not_finite"
    TOO_DEEP = "too_deep"
    HEADER_MEMBER = "header_member"  # one that may not be there, or one that must
    ALGORITHM = "algorithm"
    TYPE = "type"
    KIND = "kind"  # a kind of our own that this door does not take
    KEY_ID = "key_id"  # not a plausible key id
    UNKNOWN_KEY = "unknown_key"
    REVOKED_KEY = "revoked_key"
    SIGNATURE = "signature"
    CLAIM_MISSING = "claim_missing"
    CLAIM_FORBIDDEN = "claim_forbidden"  # one that this kind never carries
    CLAIM_TYPE = "claim_type"
    ISSUER = "issuer"
    AUDIENCE = "audience"
    AUTHORIZED_PARTY = "authorized_party"
    SCOPE = "scope"
    SUBJECT = "subject"
    ADMIN = "admin"  # present and not JSON true
    EMAIL_UNVERIFIED = "email_unverified"
    NOT_YET_VALID = "not_yet_valid"
    EXPIRED = "expired"
    LIFETIME = "lifetime"  # ends before it starts, or lives longer than any token may
    TOO_OLD = "too_old"
    REVOKED = "revoked"  # its subject, its `jti` or its session
    RETIRED = "retired"  # an old token, and the time until which they are taken is over
    VERSION = "version"  # an old token of another version
    CUT_OFF = "cut_off"  # an old token that was issued when none should be any more
    NOT_ADMITTED = "not_admitted"  # an old token that admits to nothing
    KEY_UNAVAILABLE = "key_unavailable"  # an old token, and the shared secret cannot be read or is none
    UNEXPECTED = "unexpected"  # a bug in here: denied, and worth an alarm


class TokenRefused(Exception):
    """A token was refused. `str()` is the code and never holds anything of the token."""

    def __init__(self, code: RefusalCode) -> None:
        super().__init__(code.value)
        self.code = code
