"""Every limit of the rules, with its reason. Enforced on write and again on load; evaluation checks nothing."""

import re

KEY = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
"""A flag key: safe in a path, a claim, and a metric's dimension without escaping."""

MAX_FLAGS = 5_000
"""The scale that the snapshot is sized for: 5,000 flags take a few MB to load and compile."""

MAX_FLAG_BYTES = 65_536
"""One stored flag. An audit entry contains it twice (before, after) and must fit into DynamoDB's 400 KB item."""

MAX_INLINE_MEMBERS = 1_000
"""Users and orgs stored inside the flag. More would only grow the flag's item and each of its audit entries."""

MAX_MEMBERS_A_CALL = 1_000
"""Ids in one `allow` call, so that it finishes within API Gateway's 30 s."""

INLINE_BYTES = 49_152
"""The flag's size up to which ids are stored inline: a quarter of `MAX_FLAG_BYTES` stays free for its other members."""

MAX_SMALL = 90
"""Member items in one transaction, in addition to flag, entry, head, idempotency record, and import: DynamoDB allows
100 items."""

MAX_STAGED = 96
"""Member items in one batch of an import, in addition to the import's own record and an idempotency record."""

MAX_IMPORTS = 1_000
"""Committed imports of one flag. The flag lists each of them, about 14 bytes, in every snapshot and twice in each of
its audit entries."""

MAX_ID_BYTES = 256
"""A user or org id; an identity provider's `sub` is at most 255 ASCII characters (OpenID Connect Core 1.0 §2)."""

MAX_RULES, MAX_CLAUSES, MAX_OPERANDS = 50, 20, 200
"""Attribute rules of a flag, clauses of a rule, operands of a clause: they bound the cost of one evaluation."""

MAX_REQUIRES, MAX_DEPTH, MAX_ANCESTORS = 10, 10, 100
"""Parents of a flag, the length of a chain of parents, and all ancestors: each decision asks every ancestor."""

MAX_ROUTES, MAX_ROUTES_BYTES = 1_000, 131_072
"""All route policies are stored in one item and twice in its audit entry (400 KB)."""

MAX_TEXT_BYTES, MAX_REASON_BYTES = 1_024, 1_024
"""Descriptions, owners, and reasons are notes, not documents."""

MAX_BATCH = 20
"""Procedures in one batched call: each is a decision, and API Gateway limits the path itself."""

MAX_TOLD_BYTES = 2_048
"""What a manifest may add to every access token (flag keys, claims) as JSON: 3 KB of payload minus 1 KB for the
subject, its orgs, and attributes."""

PERCENT_STEPS = 100_000
"""`percent` moves in steps of 0.001 %: 100 % is 100,000 steps."""
