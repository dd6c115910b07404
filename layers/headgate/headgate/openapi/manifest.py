"""The manifest's JSON Schema (2020-12), from the core's own limits and choices: what a parser refuses, it refuses.

What JSON Schema cannot say (parents that exist, sizes in bytes, a percent's decimals) is the parser's alone.
"""

from collections.abc import Iterable
from enum import StrEnum
from typing import Any

from headgate.core import limits
from headgate.core.clauses import COMPARABLE
from headgate.core.model import Algorithm, RouteClass, Stage, Unit
from headgate.core.profile import ADMIN_CLAIM, LIFETIME_HIGH, LIFETIME_LOW, MAX_CLAIMS, MAX_STALE_LIMIT, USER_CLAIM

Schema = dict[str, Any]

SCALAR: Schema = {"type": ["string", "number", "boolean"]}
CLAIM = "^[A-Za-z0-9_]{1,64}$"


def ref(name: str) -> Schema:
    """A definition of this schema."""
    return {"$ref": f"#/$defs/{name}"}


def closed(properties: Schema, *required: str) -> Schema:
    """An object of these members and no others."""
    needed = {"required": list(required)} if required else {}
    return {"type": "object", "additionalProperties": False, **needed, "properties": properties}


def array_of(items: Schema, most: int, *, distinct: bool = False) -> Schema:
    """A list of at most so many."""
    return {"type": "array", "maxItems": most, **({"uniqueItems": True} if distinct else {}), "items": items}


def choice(options: Iterable[StrEnum], description: str = "", **more: Any) -> Schema:
    """One of an enumeration's values."""
    told = {"description": description} if description else {}
    return {"enum": [option.value for option in options], **more, **told}


def _text(most: int, description: str = "") -> Schema:
    """A string of at most so many bytes: never more characters."""
    return {"type": "string", "maxLength": most, **({"description": description} if description else {})}


def _or_null(schema: Schema, description: str) -> Schema:
    return {"oneOf": [schema, {"type": "null"}], "description": description}


def _claim_value() -> Schema:
    fixed = {"type": "string", "maxLength": 128, "pattern": r"^(?!\$)"}
    return {"anyOf": [{"enum": [USER_CLAIM, ADMIN_CLAIM]}, fixed, {"type": ["number", "boolean"]}]}


TOKEN = closed({
    "lifetime": {"type": "integer", "minimum": LIFETIME_LOW, "maximum": LIFETIME_HIGH, "default": 300,
                 "description": "Seconds that an access token lives."},
    "claims": {"type": "object", "maxProperties": MAX_CLAIMS, "propertyNames": {"pattern": CLAIM},
               "description": "Added claims: $user, $admin (true or absent), or a fixed value.",
               "additionalProperties": _claim_value()},
})  # fmt: skip

MANIFEST_PROPERTIES: Schema = {
    "access": _or_null({"type": "string", "pattern": f"^{limits.KEY.pattern}$"},
                       "The flag that mint asks for, and entry routes that name none."),
    "max_stale": {"type": "integer", "minimum": 0, "maximum": MAX_STALE_LIMIT, "default": 60,
                  "description": "Seconds that the last known good rules may serve while the store does not answer; "
                                 "0 is strict."},
    "token": TOKEN,
    "flags": array_of(ref("flag"), limits.MAX_FLAGS),
    "routes": array_of(ref("route"), limits.MAX_ROUTES),
}  # fmt: skip


def _values() -> Schema:
    kinds: list[Schema] = [{"on": {"const": True}, "off": {"const": False}}]
    kinds += [{"on": {"type": kind}, "off": {"type": kind}} for kind in ("string", "number", "object")]
    return closed({"on": True, "off": True}, "on", "off") | {"anyOf": [{"properties": kind} for kind in kinds]}


FLAG: Schema = {
    "key": ref("key"),
    "description": _text(limits.MAX_TEXT_BYTES),
    "owner": _text(limits.MAX_TEXT_BYTES),
    "stage": choice(Stage, "Left out: as it is; admin_only for a new flag."),
    "percent": {"type": "number", "minimum": 0, "maximum": 100, "description": "With at most 3 decimals."},
    "unit": choice(Unit, "Whose id falls into the percentage."),
    "algorithm": choice(Algorithm),
    "salt": _text(128, "Left out: kept, or made for a new flag."),
    "requires": array_of(ref("key"), limits.MAX_REQUIRES, distinct=True),
    "allow": closed({
        "users": array_of(ref("member"), limits.MAX_MEMBERS_A_CALL, distinct=True),
        "orgs": array_of(ref("member"), limits.MAX_MEMBERS_A_CALL, distinct=True),
        "rules": array_of(ref("rule"), limits.MAX_RULES),
    }),
    "values": _values(),
    "claim": _or_null({"type": "string", "pattern": CLAIM}, "A claim that is true in tokens while the flag is on."),
}  # fmt: skip


def _operation(operators: Schema, value: Schema | None = None, **more: Schema) -> Schema:
    needed: Schema = {} if value is None else {"required": ["value"]}
    return {**needed, "properties": {"op": operators, **({} if value is None else {"value": value}), **more}}


CLAUSE: Schema = {
    "type": "object",
    "required": ["attribute", "op"],
    "properties": {"attribute": {"type": "string", "minLength": 1, "maxLength": 64}},
    "unevaluatedProperties": False,
    "oneOf": [
        _operation({"const": "exists"}),
        _operation({"enum": ["equals", "not_equals", "contains"]}, SCALAR),
        _operation({"enum": ["in", "not_in"]}, {"type": "array", "minItems": 1, "maxItems": limits.MAX_OPERANDS,
                                                "items": SCALAR}),
        _operation({"enum": ["starts_with", "ends_with"]}, {"type": "string", "minLength": 1, "maxLength": 1_024}),
        _operation({"enum": ["less", "greater"]}, {"type": ["number", "string"]}, kind={"enum": list(COMPARABLE)}),
    ],
}  # fmt: skip

ROUTE_KEY: Schema = {"type": "string", "maxLength": 512, "pattern": "^(GET|POST|PUT|PATCH|DELETE) /[^ ]*$"}
PROCEDURE: Schema = {"type": "string", "minLength": 1, "maxLength": 512, "pattern": "^[A-Za-z0-9._-]+$"}
_KEYS = array_of(ref("key"), limits.MAX_REQUIRES, distinct=True)
ROUTE: Schema = {
    "type": "object",
    "properties": {
        "class": choice(RouteClass, default=RouteClass.ENTRY.value),
        "flags": _KEYS | {"description": "All must be on, decided live."},
        "asks": _KEYS | {"description": "Decided live and handed to the worker."},
    },
    "unevaluatedProperties": False,
    "oneOf": [
        {"required": ["route"], "properties": {"route": ROUTE_KEY}},
        {"required": ["procedure"], "properties": {"procedure": PROCEDURE}},
    ],
}

DEFINITIONS: Schema = {
    "key": {"type": "string", "pattern": f"^{limits.KEY.pattern}$"},
    "flag": closed(FLAG, "key"),
    "member": {"type": "string", "minLength": 1, "maxLength": limits.MAX_ID_BYTES, "pattern": r"^\S+$"},
    "rule": closed({"clauses": {**array_of(ref("clause"), limits.MAX_CLAUSES), "minItems": 1}}, "clauses"),
    "clause": CLAUSE,
    "route": ROUTE,
}


def manifest_schema() -> Schema:
    """The schema that editors check a manifest by: manifest.schema.json."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "urn:headgate:manifest",
        "title": "Headgate manifest",
        "description": "Flags, route policies and the token profile. A member that a flag leaves out keeps its live "
        "value.",
        **closed(MANIFEST_PROPERTIES),
        "$defs": DEFINITIONS,
    }
