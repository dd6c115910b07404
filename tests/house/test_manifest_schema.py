"""manifest.schema.json says what the parser says: on the reference manifest, on every enumeration, on faults."""

import copy
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from headgate.core.changes.manifest import MANIFEST_MEMBERS, parse_manifest, plan_manifest
from headgate.core.clauses import COMPARABLE, OPERATORS
from headgate.core.documents import Invalid
from headgate.core.flag import OWN_MEMBERS
from headgate.core.model import Algorithm, RouteClass, Stage, Unit
from headgate.core.snapshot import EMPTY

ROOT = Path(__file__).parents[2]
SCHEMA = json.loads((ROOT / "manifest.schema.json").read_text())
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)
FLAG = SCHEMA["$defs"]["flag"]["properties"]
GOOD: dict[str, Any] = {
    "access": "f",
    "max_stale": 30,
    "token": {"lifetime": 300, "claims": {"who": "$user", "isAdmin": "$admin", "version": 3, "kind": "plain"}},
    "flags": [
        {
            "key": "f", "description": "d", "owner": "o", "stage": "percentage", "percent": 12.5, "unit": "org_or_user",
            "algorithm": "posthog-v1", "salt": "s", "requires": ["g"], "values": {"on": "a", "off": "b"},
            "claim": "inF",
            "allow": {
                "users": ["u"], "orgs": ["o"],
                "rules": [{"clauses": [
                    {"attribute": "plan", "op": "equals", "value": "pro"},
                    {"attribute": "plan", "op": "in", "value": ["pro", 3, True]},
                    {"attribute": "age", "op": "greater", "value": 3},
                    {"attribute": "since", "op": "less", "value": "2026-01-01", "kind": "date"},
                    {"attribute": "app", "op": "greater", "value": "1.2.3", "kind": "semver"},
                    {"attribute": "name", "op": "starts_with", "value": "a"},
                    {"attribute": "beta", "op": "exists"},
                ]}],
            },
        },
        {"key": "g"},
    ],
    "routes": [
        {"route": "POST /towns/{town}", "class": "entry", "flags": ["f"], "asks": ["g"]},
        {"procedure": "town.create"},
    ],
}  # fmt: skip


def parses(document: Any) -> bool:
    try:
        plan_manifest(parse_manifest(document), EMPTY, new_salt=lambda: "s", prune=False)
    except Invalid:
        return False
    return True


def test_the_reference_manifest_fits() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    VALIDATOR.validate(yaml.safe_load((ROOT / "examples/gastown/manifest.yaml").read_text()))


def test_names_and_choices_are_the_parsers() -> None:
    assert set(SCHEMA["properties"]) == set(MANIFEST_MEMBERS)
    assert set(FLAG) == set(OWN_MEMBERS)
    for member, options in (("stage", Stage), ("unit", Unit), ("algorithm", Algorithm)):
        assert FLAG[member]["enum"] == [option.value for option in options]
    assert SCHEMA["$defs"]["route"]["properties"]["class"]["enum"] == [option.value for option in RouteClass]
    clauses = SCHEMA["$defs"]["clause"]["oneOf"]
    named = [
        name
        for clause in clauses
        for name in clause["properties"]["op"].get("enum", [clause["properties"]["op"].get("const")])
    ]
    assert sorted(named) == sorted(OPERATORS)
    assert clauses[-1]["properties"]["kind"]["enum"] == list(COMPARABLE)


def test_a_whole_manifest_fits_both() -> None:
    VALIDATOR.validate(GOOD)
    assert parses(GOOD)


FAULTS: list[tuple[str, Any]] = [
    ("extra", 1), ("access", "Not A Key"), ("access", 1), ("max_stale", -1), ("max_stale", 1.5), ("max_stale", True),
    ("token.lifetime", 10), ("token.lifetime", "300"), ("token.claims.bad-name", 1), ("token.claims.who", "$nobody"),
    ("token.claims.who", None), ("flags.0.key", "A"), ("flags.0.stage", "everyone"), ("flags.0.percent", 101),
    ("flags.0.percent", "12"), ("flags.0.unit", "team"), ("flags.0.algorithm", "md5"), ("flags.0.version", 3),
    ("flags.0.requires", ["g", "g"]), ("flags.0.requires", "g"), ("flags.0.values", {"on": 1}),
    ("flags.0.values", {"on": 1, "off": "b"}), ("flags.0.values", {"on": False, "off": True}),
    ("flags.0.claim", "a b"), ("flags.0.allow.users", ["a b"]), ("flags.0.allow.users", [""]),
    ("flags.0.allow.users", [1]), ("flags.0.allow.extra", []), ("flags.0.allow.rules", [{}]),
    ("flags.0.allow.rules", [{"clauses": []}]),
    ("flags.0.allow.rules", [{"clauses": [{"attribute": "a", "op": "matches", "value": "x"}]}]),
    ("flags.0.allow.rules", [{"clauses": [{"attribute": "a", "op": "in", "value": "x"}]}]),
    ("flags.0.allow.rules", [{"clauses": [{"attribute": "a", "op": "exists", "value": 1}]}]),
    ("flags.0.allow.rules", [{"clauses": [{"attribute": "a", "op": "equals", "value": 1, "kind": "date"}]}]),
    ("routes.0.class", "closed"), ("routes.0.route", "towns"), ("routes.0.procedure", "x"), ("routes.1.extra", 1),
    ("routes.0.flags", ["A"]),
]  # fmt: skip


@pytest.mark.parametrize(("path", "value"), FAULTS, ids=[f"{path}={value!r}"[:60] for path, value in FAULTS])
def test_a_fault_is_one_to_both(path: str, value: Any) -> None:
    document = copy.deepcopy(GOOD)
    *way, last = path.split(".")
    place: Any = document
    for step in way:
        place = place[int(step)] if isinstance(place, list) else place[step]
    place[last] = value
    assert not VALIDATOR.is_valid(document)
    assert not parses(document)
