"""Eppo: its client (Rust) on a configuration given at the start, polling nothing."""

import json
from typing import Any

import eppo_client
from contest.cases import PERCENT, Case, Kind, Spec
from contest.contestant import Asking
from eppo_client import AssignmentLogger, ClientConfig, Configuration

NAME, NATIVE, KINDS = "eppo", True, frozenset(Kind) - {Kind.CHILD}


def load(case: Case) -> Asking:
    """A client of its own."""
    flags = {spec.key: flag(spec) for spec in case.specs}
    document = {
        "createdAt": "2025-01-01T00:00:00Z",
        "format": "SERVER",
        "environment": {"name": "bench"},
        "flags": flags,
    }
    configuration = Configuration(flags_configuration=json.dumps(document).encode())
    client = eppo_client.init(
        ClientConfig(
            api_key="bench", base_url="http://127.0.0.1:9", assignment_logger=AssignmentLogger(),
            poll_interval_seconds=None, initial_configuration=configuration,
        )
    )  # fmt: skip
    subjects = [(person.user, dict(person.attributes)) for person in case.crowd]
    return Asking("client.get_boolean_assignment(key, subject[0], subject[1], False)", {"client": client}, subjects)


def flag(spec: Spec) -> dict[str, Any]:
    """One flag: one allocation."""
    conditions: list[dict[str, Any]] = []
    match spec.kind:
        case Kind.LISTED:
            conditions = [{"attribute": "id", "operator": "ONE_OF", "value": list(spec.users)}]
        case Kind.RULE:
            conditions = [{"attribute": "plan", "operator": "ONE_OF", "value": ["pro"]},
                          {"attribute": "seats", "operator": "GT", "value": 10}]  # fmt: skip
        case _:
            pass
    shares = [{"salt": f"salt-of-{spec.key}", "ranges": [{"start": 0, "end": PERCENT * 100}]}]
    allocation = {
        "key": "in", "rules": [{"conditions": conditions}] if conditions else [], "doLog": False,
        "splits": [{"variationKey": "on", "shards": shares if spec.kind is Kind.SPLIT else []}],
    }  # fmt: skip
    variations = {name: {"key": name, "value": name == "on"} for name in ("on", "off")}
    return {"key": spec.key, "enabled": True, "variationType": "BOOLEAN", "variations": variations,
            "allocations": [allocation], "totalShards": 10_000}  # fmt: skip
