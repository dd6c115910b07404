"""Every limit on tokens and on what is fetched to verify them, with its reason.

Sizes are bytes (token text is ASCII, so also characters); times are seconds.
"""

# --- our own tokens ---------------------------------------------------------------------------------------------

TOKEN_BYTES = 4_096
"""One whole token. It fits every proxy's header limit with room for other headers, and is checked before any parsing.

It keeps the claims under 2.9 KB and the signing input under the 4,096 bytes of KMS `Sign`, so neither needs a limit of
its own."""

HEADER_CHARS = 512
"""The encoded header. `alg`, `typ`, and a key id need about 100; a longer header contains something it should not."""

SIGNATURE_BYTES = 64
"""ES256: R and S, 32 bytes each (RFC 7518 §3.4)."""

TEXT_BYTES = 256
"""A subject, client id, issuer part, or org. OpenID Connect Core §2 limits `sub` to 255 characters."""

KEY_ID_CHARS = 256
"""A KMS key ARN has about 80; an identity provider's `kid` rarely exceeds 64."""

ATTRIBUTE_NAME_BYTES = 128
"""The name of one attribute. A longer name would add to every token."""

LIFETIME = 3_600
"""The longest life of our tokens. After it, a rotated key may be reused and the record of a revocation deleted."""

CLOCK_LEEWAY = 30
"""How far `iat` and `nbf` may be ahead of our clock: AWS hosts agree within a second, providers within a minute.

`exp` has no leeway: an issuer whose clock is slow only gives us shorter tokens, never longer ones."""

VERIFIED_TOKENS = 1_000
"""Verified tokens cached per execution context: at most 4 MB of token text, hours of one environment's callers."""

NESTING = 32
"""Levels of objects and lists in any JSON read here. Real claims have up to 6; parsers fail from 1,000."""

# --- identity tokens --------------------------------------------------------------------------------------------

IDENTITY_TOKEN_BYTES = 16_384
"""Providers include groups and pictures: 4 KB is common. 16 KB is also the limit of the request body."""

IDENTITY_HEADER_CHARS = 2_048
"""Providers add `x5t` and the like. A key or a certificate chain in the header is refused at any size."""

MAX_AGE = 600
"""How long after `iat` an identity token may be exchanged, by default."""

MAX_AGE_CEILING = 86_400
"""The longest `max_age` that can be configured."""

RSA_BITS = (2_048, 8_192)
"""A shorter key can be broken (RFC 7518 §3.3). With a longer one, a signature check becomes a denial of service."""

# --- legacy tokens ----------------------------------------------------------------------------------------------

LEGACY_SECRET_BYTES = 32
"""HS256 requires a key at least as long as its hash (RFC 7518 §3.2). A shorter one can be found by brute force."""

LEGACY_LIFETIME = 3_600
"""From `iat` to `exp`, as issued by the old endpoint. It also limits what a leaked secret can do: whatever `iat` a
forged token claims, none passes longer than this after the cut-off, and the record of a revocation outlives them all.
"""

LEGACY_PERIOD = 31 * 86_400
"""How far `accept_until` may be ahead of a function's start: every month it must be extended, or it ends."""

SECRET_PAUSE = 10
"""Between two attempts to read the shared secret, so that 30,000 environments stay within Secrets Manager's quota."""

# --- what is fetched from a provider ----------------------------------------------------------------------------

FETCH_SECONDS = 2.0
"""To connect, and again to send the request and read the document: a mint must answer within 30 s (API Gateway)."""

DOCUMENT_BYTES = 262_144
"""A key set with certificates has about 10 KB. A larger one is a mistake or an attack."""

PROVIDER_KEYS = 100
"""Keys in one set. Real sets have 2 to 10."""

KEYS_TRIED = 10
"""Keys tried for a token that names none, or whose id several keys have. It bounds the work for a forged token."""

REDIRECTS = 2
"""Followed only to the same scheme, host, and port."""

KEYS_FRESH_LEAST, KEYS_FRESH_DEFAULT, KEYS_FRESH_MOST = 300, 3_600, 86_400
"""How long a key set is used before it is fetched again. The response's own `max-age` is clamped to these bounds."""

KEYS_KEPT = 86_400
"""How much longer the last good key set is used while the provider does not answer. After that: unavailable."""

REFRESH_PAUSE = 60
"""Between two fetches from one provider while a key set is known, so that unknown key ids cannot make us flood it."""

RETRY_PAUSE = 5
"""The same while no key set is known, so that a provider's short outage at a cold start does not deny for a minute."""
