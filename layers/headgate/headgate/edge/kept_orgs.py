"""Which orgs of a subject its token holds, so that no number of orgs is too many for one.

Entra ID sends up to 200 groups, and a token has room for about 60 ids of that length. Those that a list or a rule names
are kept first, then the others, each in byte order. What is left out can only deny (`orgs_cut`). The decision to issue
the token is made on the kept orgs, so that the gate, which knows no others, decides alike. The order matters to both:
only the first orgs are looked up in long lists, so that no subject costs more than `IDS_READ` reads.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace

from headgate.core.model import Subject
from headgate.core.snapshot import Snapshot, named_orgs
from headgate.store.memberships import ids_looked_up
from headgate.tokens.issue import Grant, TokenTooLarge, measure
from headgate.tokens.limits import TOKEN_BYTES

SESSION_MARGIN = 200
"""Characters by which a session token may be longer than the access token that starts it: `sid`, `typ`, and `scope`."""


def room_for_orgs(grant: Grant, kid: str) -> int:
    """Return the bytes of JSON that orgs may take in the token of a grant; negative if it is too large without any."""
    try:
        size = measure(replace(grant, orgs=(), orgs_cut=True), kid)
    except TokenTooLarge as too_large:
        size = too_large.size
    return (TOKEN_BYTES - SESSION_MARGIN - size) * 3 // 4  # base64


def with_kept_orgs(
    subject: Subject, snapshot: Snapshot, room: int, on_long_list: Callable[[Sequence[str]], frozenset[str]]
) -> Subject:
    """Return the subject with the orgs that fit into `room` bytes. `on_long_list` reads which orgs long lists name."""
    if sum(map(_cost, subject.orgs)) <= room and len(subject.orgs) < ids_looked_up(snapshot.rules):
        return subject
    orgs = sorted(dict.fromkeys(subject.orgs), key=lambda org: org.encode("utf-8", "surrogatepass"))
    named = named_orgs(snapshot, orgs)
    named |= on_long_list([org for org in orgs if org not in named])
    kept: list[str] = []
    for org in sorted(orgs, key=lambda org: org not in named):
        if _cost(org) <= room:
            room -= _cost(org)
            kept.append(org)
    return replace(subject, orgs=tuple(kept), orgs_cut=subject.orgs_cut or len(kept) < len(orgs))


def _cost(org: str) -> int:
    return len(json.dumps(org, ensure_ascii=False).encode("utf-8", "surrogatepass")) + 1
