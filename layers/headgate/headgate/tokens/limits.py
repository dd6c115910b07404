"""Every limit on tokens and on what is fetched to check them, each with its reason.

Sizes are bytes (token text is ASCII, so also characters), times are seconds.
"""

# --- our own tokens ---------------------------------------------------------------------------------------------

TOKEN_BYTES = 4_096
"""One whole token: fits every proxy's header limit with room for other headers; refused before any parsing.

It holds the claims to 2.9 KB and the signing input below the 4,096 bytes of KMS `Sign`: neither needs its own limit."""

HEADER_CHARS = 512
"""The encoded header: `alg`, `typ` and a key id need about 100; a longer one carries something it should not."""

SIGNATURE_BYTES = 64
"""ES256: R and S, 32 bytes each (RFC 7518 §3.4)."""

TEXT_BYTES = 256
"""A subject, client id, issuer part or org; OpenID Connect Core §2 gives `sub` at most 255 characters."""

KEY_ID_CHARS = 256
"""A KMS key ARN is about 80; an identity provider's `kid` seldom passes 64."""

ATTRIBUTE_NAME_BYTES = 128
"""The name of one attribute; longer names would be paid for in every token."""

LIFETIME = 3_600
"""No own token lives longer than an hour: after it a rotated key may come back, and a record of a revocation may go."""

CLOCK_LEEWAY = 30
"""How far `iat` and `nbf` may lie ahead of our clock: AWS hosts agree within a second, providers within a minute.

`exp` has none: an issuer whose clock runs late only gives us a shorter token, never a longer one."""

VERIFIED_TOKENS = 1_000
"""Verified tokens kept per execution context: at most 4 MB of token text, and hours of one environment's callers."""

NESTING = 32
"""Levels of objects and lists in any JSON read here: real claims have up to 6, parsers give up from 1,000 on."""

# --- identity tokens --------------------------------------------------------------------------------------------

IDENTITY_TOKEN_BYTES = 16_384
"""Providers put groups and pictures in: 4 KB is common, 16 KB is the request body's own limit."""

IDENTITY_HEADER_CHARS = 2_048
"""Providers add `x5t` and the like; a key or a certificate chain in the header is refused whatever its size."""

MAX_AGE = 600
"""The default for how long after `iat` an identity token may be exchanged."""

MAX_AGE_CEILING = 86_400
"""The most that a configuration may ask for."""

RSA_BITS = (2_048, 8_192)
"""Below: breakable (RFC 7518 §3.3). Above: one signature check becomes a denial of service."""

# --- old tokens of the system that was replaced -----------------------------------------------------------------

LEGACY_SECRET_BYTES = 32
"""HS256 takes no key shorter than its hash (RFC 7518 §3.2): a shorter one can be found by trying."""

LEGACY_LIFETIME = 3_600
"""From `iat` to `exp`, as the old endpoint issued them. It also ends what a leaked secret can make: nothing passes
longer than this after the cut-off, whatever `iat` it claims; and a record of a revocation outlives them all."""

LEGACY_PERIOD = 31 * 86_400
"""How far ahead of a start `accept_until` may lie: a month is asked for anew, or ends."""

SECRET_PAUSE = 10
"""Between two attempts to read the shared secret: 30,000 environments stay below what Secrets Manager answers."""

# --- what is fetched from a provider ----------------------------------------------------------------------------

FETCH_SECONDS = 2.0
"""To connect, and again to send and read a document whole: a mint must answer within API Gateway's patience."""

DOCUMENT_BYTES = 262_144
"""A key set with certificates is some 10 KB; more is a mistake or an attack."""

PROVIDER_KEYS = 100
"""Keys in one set; real ones hold 2 to 10."""

REDIRECTS = 2
"""Followed on the same scheme, host and port only."""

KEYS_FRESH_LEAST, KEYS_FRESH_DEFAULT, KEYS_FRESH_MOST = 300, 3_600, 86_400
"""How long a key set is used before it is asked for again; the answer's own `max-age` is held within these."""

KEYS_KEPT = 86_400
"""How long past that the last known good set serves while the provider does not answer. Then: unavailable."""

REFRESH_PAUSE = 60
"""Between two fetches from one provider while any key set is known: unknown key ids cannot make us flood it."""

RETRY_PAUSE = 5
"""The same while no key set is known: a provider's blip at a cold start should not deny for a minute."""
