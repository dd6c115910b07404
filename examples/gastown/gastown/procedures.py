"""Gastown's procedures: those that this small one serves, and those that it answers with 501.

The gate decides each procedure of a call before the worker sees it. Inputs have the names that Gastown's clients send.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from gastown import actions, towns
from gastown.outcomes import Json, Outcome, Refused
from gastown.service import Action, Call, Gastown
from gastown.towns import Owner, OwnerKind
from headgate.core.documents import Reader

Run = Callable[[Gastown, Call], Outcome]


@dataclass(frozen=True, slots=True)
class Procedure:
    """A procedure. `only` is the one member of the answer that clients expect. A mutation must be called by POST."""

    run: Run
    mutation: bool = False
    only: str | None = None

    def data(self, body: Mapping[str, Json]) -> Json:
        """Return what the client gets."""
        return body if self.only is None else body[self.only]


def _text(call: Call, name: str) -> str:
    read = Reader(call.fields)
    value = read.text(name, limit=256, blank=False)
    read.check()
    return value


def _in_town(action: Action) -> Run:
    return lambda gastown, call: gastown.in_town(call, _text(call, "townId"), action)


def _create_town(gastown: Gastown, call: Call) -> Outcome:
    return gastown.create_user_town(call, call.caller.subject)


def _create_org_town(gastown: Gastown, call: Call) -> Outcome:
    return gastown.create_org_town(call, _text(call, "organizationId"))


def _list_towns(gastown: Gastown, call: Call) -> Outcome:
    return gastown.list_towns((Owner(OwnerKind.USER, call.caller.subject),))


def _list_org_towns(gastown: Gastown, call: Call) -> Outcome:
    org = Owner(OwnerKind.ORG, _text(call, "organizationId"))
    return gastown.list_towns((org,)) if towns.is_theirs(call.caller, org) else NOT_YOUR_ORG


def _update_config(gastown: Gastown, call: Call) -> Outcome:
    config = call.fields.get("config")
    changed = replace(call, fields=config if isinstance(config, dict) else {"config": config})
    return gastown.in_town(changed, _text(call, "townId"), actions.change_config)


NOT_YOUR_ORG = Refused("forbidden", "You are not a member of this org.")

SERVED: Mapping[str, Procedure] = {
    "gastown.createTown": Procedure(_create_town, mutation=True),
    "gastown.createOrgTown": Procedure(_create_org_town, mutation=True),
    "gastown.listTowns": Procedure(_list_towns, only="towns"),
    "gastown.listOrgTowns": Procedure(_list_org_towns, only="towns"),
    "gastown.getTown": Procedure(_in_town(actions.show)),
    "gastown.deleteTown": Procedure(_in_town(actions.delete), mutation=True),
    "gastown.deleteOrgTown": Procedure(_in_town(actions.delete), mutation=True),
    "gastown.createRig": Procedure(_in_town(actions.add_rig), mutation=True),
    "gastown.createOrgRig": Procedure(_in_town(actions.add_rig), mutation=True),
    "gastown.listRigs": Procedure(_in_town(actions.show_status), only="rigs"),
    "gastown.listOrgRigs": Procedure(_in_town(actions.show_status), only="rigs"),
    "gastown.startConvoy": Procedure(_in_town(actions.start_convoy), mutation=True),
    "gastown.listConvoys": Procedure(_in_town(actions.show_status), only="convoys"),
    "gastown.getTownConfig": Procedure(_in_town(actions.show_config)),
    "gastown.updateTownConfig": Procedure(_update_config, mutation=True),
    "gastown.ensureMayor": Procedure(_in_town(actions.start_container), mutation=True),
    "gastown.getMayorStatus": Procedure(_in_town(actions.show_container)),
    "gastown.sendMessage": Procedure(_in_town(actions.tell_mayor), mutation=True),
    "gastown.destroyContainer": Procedure(_in_town(actions.stop_container), mutation=True),
}

NAMED_ONLY = frozenset(
    f"gastown.{name}"
    for name in """
    createBead startBead sling babysitPr connectTownToWasteland resetAgentDispatchAttempts convoyAddBead
    updateRigConfig createPtySession getAgentStreamUrl resizePtySession updateBead enrichBead refreshContainerToken
    forceRestartContainer getDrainStatus checkAdminAccess getRig listBeads listAgents previewPr getAlarmStatus
    getBeadEvents getTownEvents getMergeQueueData getConvoy getTownWastelandConnection deleteRig deleteBead
    deleteBeadsByStatus deleteAgent convoyRemoveBead closeConvoy disconnectTownFromWasteland adminListBeads
    adminListAgents adminForceRestartContainer adminForceResetAgent adminForceCloseBead adminForceFailBead
    adminGetAlarmStatus adminGetTownEvents adminGetBead adminBulkDeleteBeads adminDeleteBeadsByStatus
    debugAgentMetadata
    """.split()
)
