"""The emergency kill: laid over the rules from outside the table, by a function's environment variables.

It holds whatever the table says, and when the table says nothing: the flags that it names count as killed (reach
`gate`), or every flag. So that running work goes on in an environment that never saw a rule, it may carry the policies
of the routes that running work uses. They count only while the table's own are not known.
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
"""Every flag, those that do not exist yet among them."""

CARRIED = (RouteClass.STOP, RouteClass.MACHINE, RouteClass.CONTINUE, RouteClass.OBSERVE)
"""The classes of running work, the most needed first: what does not fit is left out from the end."""


@dataclass(frozen=True, slots=True)
class Emergency:
    """`flags` is empty where there is none. `malformed` names the variables that could not be read."""

    flags: frozenset[str] = frozenset()
    routes: RouteTable = field(default_factory=RouteTable)
    malformed: tuple[str, ...] = ()

    def laid_over(self, snapshot: Snapshot) -> Snapshot:
        """The snapshot with the flags killed. A kill that is there already keeps its reach.

        A name that is no flag's (a slip, or `true` put in by hand) kills every flag: better all than none.
        """
        given = snapshot.rules.given
        killed = self.flags if self.flags <= given.keys() else given
        return with_kills(snapshot, dict.fromkeys(killed, Reach.GATE.value))

    @property
    def unknown(self) -> Snapshot:
        """What holds before any rule was seen: admins in, all others out, but for the routes carried along."""
        return replace(EMPTY, routes=self.routes)


NO_EMERGENCY = Emergency()


def read_emergency(kill: str, routes: str) -> Emergency:
    """Read the two variables. Never fails: a kill that cannot be read kills every flag, routes that cannot, none."""
    if not kill.strip():
        return NO_EMERGENCY  # routes without a kill would widen what a cold start lets through
    named = frozenset(name.strip() for name in kill.split(","))
    malformed = () if all(name == EVERY or is_key(name) for name in named) else ("kill",)
    try:
        carried = unpacked(routes) if routes else RouteTable()
    except Invalid:
        carried, malformed = RouteTable(), (*malformed, "routes")
    return Emergency(frozenset({EVERY}) if "kill" in malformed else named, carried, malformed)


def running_work(table: RouteTable) -> tuple[RoutePolicy, ...]:
    """The policies worth carrying, the most needed first. What decides a flag live is not: nothing could decide it."""
    wanted = (policy for policy in table.policies() if policy.route_class in CARRIED and not policy.flags)
    return tuple(sorted(wanted, key=lambda policy: CARRIED.index(policy.route_class)))


def packed(policies: Sequence[RoutePolicy]) -> str:
    """Policies as a variable's text: deflated JSON in base64."""
    text = json.dumps([policy_document(policy) for policy in policies], separators=(",", ":"))
    return base64.b64encode(zlib.compress(text.encode(), 9)).decode()


def unpacked(text: str) -> RouteTable:
    """The policies of a variable's text. Raises `Invalid`; a class that is not of running work is refused too."""
    try:
        inflate = zlib.decompressobj()
        document = inflate.decompress(base64.b64decode(text, validate=True), MAX_ROUTES_BYTES)
        table = parse_routes(json.loads(document))
    except (ValueError, zlib.error, RecursionError) as error:
        raise Invalid([("routes", "cannot be read")]) from error
    if len(running_work(table)) != len(table.policies()):
        raise Invalid([("routes", "must be of running work and name no flags")])
    return table
