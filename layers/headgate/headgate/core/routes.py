"""What a worker route needs: which credential passes its class, and which flags are decided live.

A route that is not listed is `entry`: forgetting to list it cannot leak.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from headgate.core import limits
from headgate.core.documents import Reader, is_key, refuse
from headgate.core.model import Json, RouteClass, RoutePolicy


class Pass(StrEnum):
    """The credential in hand, as far as a route's class asks."""

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
    """Every listed policy, by route key and by procedure; `flags` are all that they name, as condition or as ask."""

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
    """The policies a request must meet, all of them: one, or one for each procedure of a batched call.

    Authorised by route key and path parameters, never by the raw path. A batch that is malformed or too long
    gives no policy at all: the caller denies.
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
    """The flags that must be on, decided live. `entry` without flags means the manifest's access flag."""
    if policy.flags or policy.route_class is not RouteClass.ENTRY:
        return policy.flags
    return (access or "",)  # with no manifest: a flag that cannot exist, so admins in, all others out


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
        read.fault("", "must name either a route or a procedure")
    name = read.text("procedure" if procedure else "route", default="", limit=512, blank=False)
    if not procedure and not _is_route_key(name):
        read.fault("route", "must be a route key such as POST /orders/{order}")
    if procedure and not all(ch.isalnum() or ch in "._-" for ch in name):
        read.fault("procedure", "must be letters, digits, dot, _ or -")
    policy = RoutePolicy(
        name=name,
        route_class=read.choice("class", RouteClass, RouteClass.ENTRY),
        flags=read.strings("flags", limit=limits.MAX_REQUIRES, accept=is_key, what="flag keys"),
        asks=read.strings("asks", limit=limits.MAX_REQUIRES, accept=is_key, what="flag keys"),
        procedure=procedure,
    )
    if policy.route_class is RouteClass.OPEN and (policy.flags or policy.asks):
        read.fault("class", "an open route can name no flag: nobody is known there")
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
    """A policy as the manifest writes it."""
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
    """All policies as the manifest writes them."""
    return [policy_document(policy) for policy in table.policies()]


def check_routes_size(text: str) -> None:
    """Refuse route policies that would not fit, twice, into one audit entry. Raises `Invalid`."""
    if len(text.encode()) > limits.MAX_ROUTES_BYTES:
        refuse("routes", f"must be at most {limits.MAX_ROUTES_BYTES} bytes of JSON")
