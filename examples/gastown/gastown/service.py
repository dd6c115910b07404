"""The service: create and list towns, and do something in one of them.

An action gets the call and the caller's town as it is now. It returns an outcome, or None if another request changed
the town first: then the town is read and decided again. So a limit holds under a race.
"""

import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from gastown import towns, views
from gastown.outcomes import BUSY, NO_TOWN, Done, Json, Outcome, Refused
from gastown.state import TownTable
from gastown.towns import Owner, OwnerKind, Town
from headgate.core.documents import Reader
from headgate.sdk.caller import Caller

ATTEMPTS = 5
"""Reads of a town before giving up. A race for its first rig is settled by the second."""
MAX_NAME = 256
"""Bytes."""
TOWN_ID = re.compile(r"[A-Za-z0-9._:-]{1,64}")


@dataclass(frozen=True, slots=True)
class Call:
    """The caller, and the members of the body."""

    caller: Caller
    fields: dict[str, Json]


@dataclass(frozen=True, slots=True)
class Gastown:
    """A small Gastown on a table. `now` returns the time in UTC."""

    table: TownTable
    now: Callable[[], datetime] = lambda: datetime.now(UTC)

    def create_user_town(self, call: Call, user: str) -> Outcome:
        """Create a town for the caller. Raises `Invalid`, `Unavailable`."""
        if user != call.caller.subject:
            return Refused("forbidden", "You can create a town only for yourself.")
        return self._create_town(call, Owner(OwnerKind.USER, user))

    def create_org_town(self, call: Call, org: str) -> Outcome:
        """Create a town for one of the caller's orgs. Raises `Invalid`, `Unavailable`."""
        if org not in call.caller.orgs:
            return Refused("forbidden", "You can create a town only for an org that you belong to.")
        if not towns.is_open_to(call.caller, org):
            return Refused("forbidden", "gastown-access must be on for this org.")
        return self._create_town(call, Owner(OwnerKind.ORG, org))

    def list_towns(self, owners: tuple[Owner, ...]) -> Outcome:
        """List all towns of these owners. Raises `Unavailable`."""
        return Done(200, {"towns": [views.listed_view(town) for town in self.table.towns_of(owners)]})

    def in_town(self, call: Call, town_id: str, action: "Action") -> Outcome:
        """Do something in the caller's town. Anyone else's is not found. Raises `Invalid`, `Unavailable`."""
        if not TOWN_ID.fullmatch(town_id):
            return NO_TOWN
        for _ in range(ATTEMPTS):
            town = self.table.find(town_id)
            if town is None or not towns.is_theirs(call.caller, town.owner):
                return NO_TOWN
            outcome = action(self, call, town)
            if outcome is not None:
                return outcome
        return BUSY

    def at(self) -> str:
        """Return the current time in RFC 3339."""
        return self.now().isoformat(timespec="milliseconds").replace("+00:00", "Z")

    def seconds(self) -> int:
        """Return the current time in Unix seconds."""
        return int(self.now().timestamp())

    def _create_town(self, call: Call, owner: Owner) -> Outcome:
        town = Town(new_id(), name_in(call, "town"), owner, call.caller.subject, self.at())
        self.table.create(town)
        return Done(201, views.town_view(town, call.caller))


Action = Callable[[Gastown, Call, Town], Outcome | None]


def name_in(call: Call, default: str) -> str:
    """Return the body's `name`. Raises `Invalid`."""
    read = Reader(call.fields)
    name = read.text("name", default=default, limit=MAX_NAME, blank=False)
    read.check()
    return name


def new_id() -> str:
    """Return an id that nobody can guess."""
    return str(uuid.uuid4())
