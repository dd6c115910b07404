"""What a caller can do in a town. Start reading here to see how a service uses the gate (`Caller.allows`, in `towns`).

The gate has already decided the flags that the route requires. The service decides by the flags that the route asks
about.
"""

from dataclasses import replace

from gastown import towns, views
from gastown.bodies import prose
from gastown.outcomes import Done, Outcome, Refused
from gastown.service import Call, Gastown, name_in, new_id
from gastown.towns import Choice, Container, Kind, Strategy, Thing, Town
from headgate.core.documents import Reader

MAX_LETTER = 16_384
"""Bytes."""
MAYOR = "mayor"

NO_SECOND_RIG = Refused("forbidden", "A town can have only one rig unless gastown-multi-rig is on for you.")
NO_DISPATCH = Refused("forbidden", "The container is stopped, and gastown-access must be on for you to start it.")
NO_PR_MERGE = Refused("forbidden", "The merge strategy pr requires that gastown-pr-merge is on for you.")


def show(_gastown: Gastown, call: Call, town: Town) -> Outcome | None:
    """Show the town."""
    return Done(200, views.town_view(town, call.caller))


def show_status(gastown: Gastown, call: Call, town: Town) -> Outcome | None:
    """Show the town, its contents, and its agents."""
    return Done(200, views.status_view(town, call.caller, *gastown.table.contents(town)))


def delete(gastown: Gastown, _call: Call, town: Town) -> Outcome | None:
    """Delete the town with everything in it, its container included."""
    return Done(200, {"id": town.id, "deleted": True}) if gastown.table.delete(town) else None


def add_rig(gastown: Gastown, call: Call, town: Town) -> Outcome | None:
    """Add the first rig, or another one if the gate allows it."""
    rig = Thing(Kind.RIG, new_id(), name_in(call, "rig"), call.caller.subject, gastown.at())
    if not towns.may_add_rig(call.caller, town):
        return NO_SECOND_RIG
    only_first = not towns.allows(call.caller, towns.MULTI_RIG, town)
    return created(town, rig) if gastown.table.add_rig(town, rig, only_first=only_first) else None


def start_convoy(gastown: Gastown, call: Call, town: Town) -> Outcome | None:
    """Start a convoy."""
    convoy = Thing(Kind.CONVOY, new_id(), name_in(call, "convoy"), call.caller.subject, gastown.at())
    return created(town, convoy) if gastown.table.add(town, convoy) else None


def create_molecule(gastown: Gastown, call: Call, town: Town) -> Outcome | None:
    """Create a molecule."""
    molecule = Thing(Kind.MOLECULE, new_id(), name_in(call, "molecule"), call.caller.subject, gastown.at())
    return created(town, molecule) if gastown.table.add(town, molecule) else None


def created(town: Town, thing: Thing) -> Outcome:
    """Answer with the new thing."""
    return Done(201, views.thing_view(town, thing))


def show_config(_gastown: Gastown, call: Call, town: Town) -> Outcome | None:
    """Show the town's settings."""
    shown = views.town_view(town, call.caller)
    return Done(200, {name: shown[name] for name in ("id", "merge_strategy", "merge_strategy_set")})


def change_config(gastown: Gastown, call: Call, town: Town) -> Outcome | None:
    """Set `merge_strategy` to `direct`, `pr`, or null for unset. Unknown settings are refused."""
    read = Reader(call.fields, known=("merge_strategy",))
    unset = call.fields.get("merge_strategy", "") is None
    strategy = Strategy.DIRECT if unset else read.choice("merge_strategy", Strategy, Strategy.DIRECT)
    read.check()
    if not towns.may_choose(call.caller, strategy, town):
        return NO_PR_MERGE
    if call.fields:
        choice = None if unset else Choice(strategy, call.caller.revision)
        if not gastown.table.choose(town, choice):
            return None
        town = replace(town, choice=choice)
    return show_config(gastown, call, town)


def start_container(gastown: Gastown, call: Call, town: Town) -> Outcome | None:
    """Start the container if it is stopped. That is new use, so the access flag must be on."""
    if town.container is not None:
        return Done(200, views.container_view(town))
    if not towns.may_start_container(call.caller, town):
        return NO_DISPATCH
    container = Container(id=new_id(), started_at=gastown.at())
    if not gastown.table.start_container(town, container):
        return None
    return Done(201, views.container_view(replace(town, container=container)))


def show_container(_gastown: Gastown, _call: Call, town: Town) -> Outcome | None:
    """Show whether the container runs."""
    return Done(200, views.container_view(town))


def stop_container(gastown: Gastown, _call: Call, town: Town) -> Outcome | None:
    """Stop the container. This requires no flag."""
    if not gastown.table.stop_container(town):
        return None
    return Done(200, views.container_view(replace(town, container=None)))


def tell_mayor(gastown: Gastown, call: Call, town: Town) -> Outcome | None:
    """Send the mayor a message. The mayor lives in the container, which is started if it is stopped."""
    read = Reader(call.fields)
    message = prose(read, "message", limit=MAX_LETTER)
    read.check()
    woken = start_container(gastown, call, town)
    return send(gastown, town, MAYOR, {"body": message}) if isinstance(woken, Done) else woken


def send(gastown: Gastown, town: Town, to: str, letter: dict[str, str]) -> Outcome:
    """Store a letter for an agent."""
    letter_id, sent_at = new_id(), gastown.at()
    gastown.table.send(town, to, {"id": letter_id, "sent_at": sent_at, **letter}, seconds=gastown.seconds())
    return Done(200, {"id": letter_id, "to": to, "sent_at": sent_at})
