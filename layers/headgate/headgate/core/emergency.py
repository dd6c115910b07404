"""The emergency kill: flags killed through a function's environment variables, without the table.

It applies whatever the table says, and also when the table does not answer: the flags that it names count as killed
(reach `gate`), or every flag. So that running work continues in an environment that has never loaded rules, it may
carry the policies of the routes that running work uses. They count only while the table's own policies are unknown.
"""

import base64
import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from headgate.core.documents import Invalid, is_key
from headgate.core.limits import MAX_ROUTES_BYTES
from headgate.core.model import Reach, RouteClass, RoutePolicy
from headgate.core.routes import RouteTable, parse_routes, policy_document
from headgate.core.snapshot import EMPTY, Snapshot, with_kills

EVERY = "*"
"""Every flag, including flags that do not exist yet."""

CARRIED = (RouteClass.STOP, RouteClass.MACHINE, RouteClass.CONTINUE, RouteClass.OBSERVE)
"""The route classes of running work, most needed first. What does not fit is dropped from the end."""


@dataclass(frozen=True, slots=True)
class Emergency:
    """`flags` is empty if there is no emergency kill. `malformed` names the variables that could not be read."""

    flags: frozenset[str] = frozenset()
    routes: RouteTable = field(default_factory=RouteTable)
    malformed: tuple[str, ...] = ()

    def laid_over(self, snapshot: Snapshot) -> Snapshot:
        """Return the snapshot with the flags killed. A flag that is already killed keeps its reach.

        A name that is not a flag's (a typo, or `true` set by hand) kills every flag: too many is safer than none.
        """
        given = snapshot.rules.given
        killed = self.flags if self.flags <= given.keys() else given
        return with_kills(snapshot, dict.fromkeys(killed, Reach.GATE.value))

    @property
    def unknown(self) -> Snapshot:
        """The rules before any were loaded: only admins pass, except on the carried routes."""
        return replace(EMPTY, routes=self.routes)


NO_EMERGENCY = Emergency()


def read_emergency(kill: str, routes: str) -> Emergency:
    """Read the two variables. Never fails: an unreadable kill kills every flag, and unreadable routes carry none."""
    if not kill.strip():
        return NO_EMERGENCY  # routes without a kill would widen what a cold start allows
    named = frozenset(name.strip() for name in kill.split(","))
    malformed = () if all(name == EVERY or is_key(name) for name in named) else ("kill",)
    try:
        carried = unpacked(routes) if routes else RouteTable()
    except Invalid:
        carried, malformed = RouteTable(), (*malformed, "routes")
    return Emergency(frozenset({EVERY}) if "kill" in malformed else named, carried, malformed)


def running_work(table: RouteTable) -> tuple[RoutePolicy, ...]:
    """The policies to carry, most needed first. Those with flags are left out: no rules, no live decision."""
    wanted = (policy for policy in table.policies() if policy.route_class in CARRIED and not policy.flags)
    return tuple(sorted(wanted, key=lambda policy: CARRIED.index(policy.route_class)))


def packed(policies: Sequence[RoutePolicy]) -> str:
    """Encode policies as a variable's text: deflated JSON in base64."""
    text = json.dumps([policy_document(policy) for policy in policies], separators=(",", ":"))
    return base64.b64encode(zlib.compress(text.encode(), 9)).decode()


def unpacked(text: str) -> RouteTable:
    """Decode the policies in a variable's text. Raises `Invalid`, also for a class that is not of running work."""
    try:
        inflate = zlib.decompressobj()
        document = inflate.decompress(base64.b64decode(text, validate=True), MAX_ROUTES_BYTES)
        table = parse_routes(json.loads(document))
    except (ValueError, zlib.error, RecursionError) as error:
        raise Invalid([("routes", "cannot be read")]) from error
    if len(running_work(table)) != len(table.policies()):
        raise Invalid([("routes", "must only have classes of running work and name no flags")])
    return table
