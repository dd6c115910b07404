"""What a route requires: which credential passes its class, and which flags are decided live.

A route that is not listed is `entry`, so forgetting to list one cannot open it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from headgate.core import limits
from headgate.core.documents import Reader, is_key, refuse
from headgate.core.model import Json, RouteClass, RoutePolicy


class Pass(StrEnum):
    """The credential of a request, as far as route classes distinguish it."""

    ACCESS = "access"
    ADMIN = "admin"  # an access token with `admin`
    SESSION = "session"


ANY_OF = frozenset(Pass)
PASSES: Mapping[RouteClass, frozenset[Pass]] = {
    RouteClass.ENTRY: frozenset({Pass.ACCESS, Pass.ADMIN}),
    RouteClass.CONTINUE: ANY_OF,
    RouteClass.OBSERVE: ANY_OF,
    RouteClass.STOP: ANY_OF,
    RouteClass.MACHINE: frozenset({Pass.SESSION}),
    RouteClass.ADMIN: frozenset({Pass.ADMIN}),
    RouteClass.OPEN: ANY_OF,
}


@dataclass(frozen=True, slots=True)
class RouteTable:
    """All listed policies, by route key and by procedure. `flags` are all flags that they name, including asks."""

    routes: Mapping[str, RoutePolicy] = field(default_factory=dict)
    procedures: Mapping[str, RoutePolicy] = field(default_factory=dict)
    version: int = 0
    flags: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "flags", frozenset(k for one in self.policies() for k in (*one.flags, *one.asks)))

    def policies(self) -> tuple[RoutePolicy, ...]:
        """All policies, routes first."""
        return (*self.routes.values(), *self.procedures.values())


def policies_for(table: RouteTable, route_key: str, path_parameters: Mapping[str, str]) -> tuple[RoutePolicy, ...]:
    """Return the policies that a request must meet, all of them: one, or one per procedure of a batched call.

    They are found by route key and path parameters, never by the raw path. A malformed or oversized batch has no
    policy: the caller denies.
    """
    names = path_parameters.get("procedures")
    if names is None:
        return (table.routes.get(route_key) or RoutePolicy(route_key),)
    procedures = names.split(",")
    if len(procedures) > limits.MAX_BATCH or not all(procedures):
        return ()
    unique = dict.fromkeys(procedures)
    return tuple(table.procedures.get(name) or RoutePolicy(name, procedure=True) for name in unique)


def live_flags(policy: RoutePolicy, access: str | None) -> tuple[str, ...]:
    """The flags that must be on, decided live. An `entry` policy without flags requires the manifest's access flag."""
    if policy.flags or policy.route_class is not RouteClass.ENTRY:
        return policy.flags
    return (access or "",)  # without a manifest: a flag that cannot exist, so only admins pass


def parse_routes(document: Json, path: str = "routes") -> RouteTable:
    """Read a list of route policies. Raises `Invalid` with every fault."""
    holder = Reader({"routes": document}, path[: -len("routes")].rstrip("."))
    routes: dict[str, RoutePolicy] = {}
    procedures: dict[str, RoutePolicy] = {}
    for index, item in enumerate(holder.objects("routes", limits.MAX_ROUTES)):
        read = Reader(item, f"{path}.{index}", known=("route", "procedure", "class", "flags", "asks"))
        policy = _read_policy(read)
        known = procedures if policy.procedure else routes
        if policy.name in known:
            read.fault("procedure" if policy.procedure else "route", "is listed twice")
        known[policy.name] = policy
        holder.absorb(read)
    holder.check()
    return RouteTable(routes, procedures)


def _read_policy(read: Reader) -> RoutePolicy:
    procedure = "procedure" in read.members
    if procedure == ("route" in read.members):
        read.fault("", "must have either route or procedure")
    name = read.text("procedure" if procedure else "route", default="", limit=512, blank=False)
    if not procedure and not _is_route_key(name):
        read.fault("route", "must be a route key such as POST /orders/{order}")
    if procedure and not all(ch.isalnum() or ch in "._-" for ch in name):
        read.fault("procedure", "must contain only letters, digits, and . _ -")
    policy = RoutePolicy(
        name=name,
        route_class=read.choice("class", RouteClass, RouteClass.ENTRY),
        flags=read.strings("flags", limit=limits.MAX_REQUIRES, accept=is_key, what="flag keys"),
        asks=read.strings("asks", limit=limits.MAX_REQUIRES, accept=is_key, what="flag keys"),
        procedure=procedure,
    )
    if policy.route_class is RouteClass.OPEN and (policy.flags or policy.asks):
        read.fault("class", "an open route must not name flags: its callers are not identified")
    return policy


def _is_route_key(name: str) -> bool:
    method, _, path = name.partition(" ")
    return (
        method in ("GET", "POST", "PUT", "PATCH", "DELETE")
        and path.startswith("/")
        and " " not in path
        and "+}" not in path
    )


def policy_document(policy: RoutePolicy) -> dict[str, Any]:
    """Return a policy as written in a manifest."""
    document: dict[str, Any] = {
        "procedure" if policy.procedure else "route": policy.name,
        "class": policy.route_class.value,
    }
    if policy.flags:
        document["flags"] = list(policy.flags)
    if policy.asks:
        document["asks"] = list(policy.asks)
    return document


def routes_document(table: RouteTable) -> list[dict[str, Any]]:
    """Return all policies as written in a manifest."""
    return [policy_document(policy) for policy in table.policies()]


def check_routes_size(text: str) -> None:
    """Refuse route policies that would not fit into one audit entry twice. Raises `Invalid`."""
    if len(text.encode()) > limits.MAX_ROUTES_BYTES:
        refuse("routes", f"must be at most {limits.MAX_ROUTES_BYTES} bytes of JSON")
