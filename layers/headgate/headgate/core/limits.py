"""Every limit of the rules, each with its reason. Enforced on write and again on load; evaluation checks nothing."""

import re

KEY = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
"""A flag key: safe in a path, a claim and a metric's dimension without escaping."""

MAX_FLAGS = 5_000
"""The scale that the snapshot is sized for: 5,000 flags are a few MB to load and compile."""

MAX_FLAG_BYTES = 65_536
"""One stored flag. An audit entry holds it twice (before, after) and must fit DynamoDB's 400 KB item."""

MAX_INLINE_MEMBERS = 1_000
"""Users and orgs kept inside the flag: above it the item, and each audit entry of it, grows without use."""

MAX_MEMBERS_A_CALL = 1_000
"""Ids in one call of `allow`: a body that fits API Gateway's patience and one transaction."""

INLINE_BYTES = 49_152
"""The flag up to which a call's ids go inline: a quarter of `MAX_FLAG_BYTES` stays free for its other members."""

MAX_SMALL = 90
"""Member items that one transaction changes beside flag, entry, head, idempotency record and import: DynamoDB takes
100 items."""

MAX_STAGED = 96
"""Member items of one batch of an import, beside the import's own record and an idempotency record."""

MAX_IMPORTS = 1_000
"""Batches of one flag that were switched on: each flag says of each when, in every snapshot and twice in each of its
audit entries, at some 14 bytes each."""

MAX_ID_BYTES = 256
"""A user or org id; an identity provider's `sub` is at most 255 ASCII characters (OpenID Connect Core 1.0 §2)."""

MAX_RULES, MAX_CLAUSES, MAX_OPERANDS = 50, 20, 200
"""Attribute rules of a flag, clauses of a rule, operands of a clause: bounds what one evaluation can cost."""

MAX_REQUIRES, MAX_DEPTH = 10, 10
"""Parents of a flag and the length of a chain of parents: bounds the lineage that each decision walks."""

MAX_ROUTES, MAX_ROUTES_BYTES = 1_000, 131_072
"""Route policies travel whole in one item and twice in its audit entry (400 KB)."""

MAX_TEXT_BYTES, MAX_REASON_BYTES = 1_024, 1_024
"""Descriptions, owners, reasons: for people, not for documents."""

MAX_BATCH = 20
"""Procedures of one batched call: each is a decision, and the path itself is bounded by API Gateway."""

MAX_TOLD_BYTES = 2_048
"""What a manifest may put into every access token (flag keys, claims) as JSON: 3 KB of payload less 1 KB for the
subject, its orgs and attributes."""

PERCENT_STEPS = 100_000
"""`percent` moves in steps of 0.001 %: 100 % is 100,000 steps."""
