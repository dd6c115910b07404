"""LaunchDarkly: its client on a file of flags, sending nothing."""

import json
import tempfile
from pathlib import Path
from typing import Any

from contest.cases import PERCENT, Case, Kind, Spec
from contest.contestant import Asking
from ldclient import Context
from ldclient.client import LDClient
from ldclient.config import Config
from ldclient.integrations import Files

NAME, NATIVE, KINDS = "LaunchDarkly", False, frozenset(Kind)


def load(case: Case) -> Asking:
    """A client of its own."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "flags.json")
        path.write_text(json.dumps({"flags": {spec.key: flag(spec) for spec in case.specs}}))
        source = Files.new_data_source(paths=[str(path)])
        client = LDClient(
            Config("sdk", update_processor_class=source, send_events=False, diagnostic_opt_out=True), start_wait=10
        )
    contexts = [_context(person.user, person.attributes) for person in case.crowd]
    everything = "client.all_flags_state(subject).to_values_map()"
    return Asking("client.variation(key, subject, False)", {"client": client}, contexts, all=everything)


def _context(user: str, attributes: Any) -> Context:
    builder = Context.builder(user)
    for name, value in attributes.items():
        builder.set(name, value)
    return builder.build()


def flag(spec: Spec) -> dict[str, Any]:
    """One flag: variation 0 is on, 1 is off."""
    made: dict[str, Any] = {"key": spec.key, "version": 1, "on": True, "salt": f"salt-of-{spec.key}",
                            "variations": [True, False], "offVariation": 1, "fallthrough": {"variation": 1},
                            "rules": []}  # fmt: skip
    match spec.kind:
        case Kind.GA:
            made["fallthrough"] = {"variation": 0}
        case Kind.SPLIT:
            shares = [(0, PERCENT * 1_000), (1, 100_000 - PERCENT * 1_000)]
            variations = [{"variation": index, "weight": weight} for index, weight in shares]
            made["fallthrough"] = {"rollout": {"kind": "rollout", "variations": variations}}
        case Kind.LISTED:
            made["targets"] = [{"variation": 0, "values": list(spec.users)}]
        case Kind.RULE:
            clauses = [{"attribute": "plan", "op": "in", "values": ["pro"]},
                       {"attribute": "seats", "op": "greaterThan", "values": [10]}]  # fmt: skip
            made["rules"] = [{"id": "rule", "variation": 0, "clauses": clauses}]
        case Kind.CHILD:
            made |= {"fallthrough": {"variation": 0}, "prerequisites": [{"key": spec.parent, "variation": 0}]}
    return made
