"""What an agent or a container does in its town, with a session token. A kill does not interrupt it.

The session must be this town's (`town:<id>`), and its subject must own the town: the gate knows neither. Agents need no
registration.
"""

import re
from collections.abc import Callable

from gastown import towns, views
from gastown.actions import MAX_LETTER, MAYOR, created, send
from gastown.bodies import prose
from gastown.outcomes import Done, Outcome, Refused
from gastown.service import MAX_NAME, Action, Call, Gastown, name_in, new_id
from gastown.towns import Agent, Kind, Thing, Town
from headgate.core.documents import Reader

AGENT_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")

NO_AGENT = Refused("not-found", "Invalid agent id: use 1 to 128 of the characters A-Z a-z 0-9 . _ : -")
NOT_ITS_OWN = Refused("forbidden", "Only a session of this town (town:<id>) may do this.")

Deed = Callable[[Gastown, Call, Town, str], Outcome | None]


def by_agent(agent: str, deed: Deed) -> Action:
    """Return an agent's deed as an action in its town."""

    def action(gastown: Gastown, call: Call, town: Town) -> Outcome | None:
        if not towns.speaks_for(call.caller, town):
            return NOT_ITS_OWN
        return deed(gastown, call, town, agent) if AGENT_ID.fullmatch(agent) else NO_AGENT

    return action


def heartbeat(gastown: Gastown, _call: Call, town: Town, agent: str) -> Outcome | None:
    """Record that an agent is alive."""
    return _note(gastown, town, Agent(agent, last_heartbeat=gastown.at()))


def done(gastown: Gastown, _call: Call, town: Town, agent: str) -> Outcome | None:
    """Record that an agent is done."""
    return _note(gastown, town, Agent(agent, done_at=gastown.at()))


def mail(gastown: Gastown, call: Call, town: Town, agent: str) -> Outcome | None:
    """Send a letter from an agent: `to` (by default the mayor), `subject`, `body`."""
    read = Reader(call.fields)
    to = read.text("to", default=MAYOR, limit=128)
    if not AGENT_ID.fullmatch(to):
        read.fault("to", "must be an agent id")
    subject = read.text("subject", default="", limit=MAX_NAME)
    body = prose(read, "body", limit=MAX_LETTER)
    read.check()
    return send(gastown, town, to, {"from": agent, "subject": subject, "body": body})


def start_convoy(gastown: Gastown, call: Call, town: Town, agent: str) -> Outcome | None:
    """Start a convoy for an agent. The gate decided the flag for the session's subject."""
    convoy = Thing(Kind.CONVOY, new_id(), name_in(call, "convoy"), agent, gastown.at())
    return created(town, convoy) if gastown.table.add(town, convoy) else None


def _note(gastown: Gastown, town: Town, agent: Agent) -> Outcome:
    known = gastown.table.note(town, agent, seconds=gastown.seconds())
    return Done(200, views.agent_view(known))
