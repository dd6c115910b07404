"""The manifest's JSON Schema (2020-12), built from the core's limits and enumerations.

It accepts whatever the parser accepts. Only the parser checks what JSON Schema cannot express: that parents exist,
sizes in bytes, and a percent's decimals.
"""

from collections.abc import Iterable
from enum import StrEnum
from typing import Any

from headgate.core import limits
from headgate.core.clauses import COMPARABLE
from headgate.core.flag import MAX_HASH_KEY_BYTES
from headgate.core.model import Algorithm, RouteClass, Stage, Unit
from headgate.core.profile import ADMIN_CLAIM, LIFETIME_HIGH, LIFETIME_LOW, MAX_CLAIMS, MAX_STALE_LIMIT, USER_CLAIM

Schema = dict[str, Any]

SCALAR: Schema = {"type": ["string", "number", "boolean"]}
CLAIM = "^[A-Za-z0-9_]{1,64}$"


def ref(name: str) -> Schema:
    """Reference a definition of this schema."""
    return {"$ref": f"#/$defs/{name}"}


def closed(properties: Schema, *required: str) -> Schema:
    """Return an object with these members and no others."""
    needed = {"required": list(required)} if required else {}
    return {"type": "object", "additionalProperties": False, **needed, "properties": properties}


def array_of(items: Schema, most: int, *, distinct: bool = False) -> Schema:
    """Return an array of at most `most` items."""
    return {"type": "array", "maxItems": most, **({"uniqueItems": True} if distinct else {}), "items": items}


def choice(options: Iterable[StrEnum], description: str = "", **more: Any) -> Schema:
    """Return a choice of an enumeration's values."""
    told = {"description": description} if description else {}
    return {"enum": [option.value for option in options], **more, **told}


def _text(most: int, description: str = "") -> Schema:
    """Return a string of at most `most` bytes, and so at most as many characters."""
    return {"type": "string", "maxLength": most, **({"description": description} if description else {})}


def _or_null(schema: Schema, description: str) -> Schema:
    return {"oneOf": [schema, {"type": "null"}], "description": description}


def _claim_value() -> Schema:
    fixed = {"type": "string", "maxLength": 128, "pattern": r"^(?!\$)"}
    return {"anyOf": [{"enum": [USER_CLAIM, ADMIN_CLAIM]}, fixed, {"type": ["number", "boolean"]}]}


TOKEN = closed({
    "lifetime": {"type": "integer", "minimum": LIFETIME_LOW, "maximum": LIFETIME_HIGH, "default": 300,
                 "description": "Lifetime of an access token, in seconds."},
    "claims": {"type": "object", "maxProperties": MAX_CLAIMS, "propertyNames": {"pattern": CLAIM},
               "description": "Claims to add: $user, $admin (true or absent), or a fixed value.",
               "additionalProperties": _claim_value()},
})  # fmt: skip

MANIFEST_PROPERTIES: Schema = {
    "access": _or_null({"type": "string", "pattern": f"^{limits.KEY.pattern}$"},
                       "The access flag: required for an access token and on entry routes that name no flag."),
    "max_stale": {"type": "integer", "minimum": 0, "maximum": MAX_STALE_LIMIT, "default": 60,
                  "description": "Seconds that the last known good rules may be used while the store does not answer. "
                                 "0 means never."},
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
    "stage": choice(Stage, "Omit to keep the live stage; a new flag starts at admin_only."),
    "percent": {"type": "number", "minimum": 0, "maximum": 100, "description": "At most 3 decimals."},
    "unit": choice(Unit, "What a percentage counts."),
    "algorithm": choice(Algorithm, "posthog-v1 keeps a flag's users where PostHog has them."),
    "hash_key": _or_null(_text(MAX_HASH_KEY_BYTES), "With posthog-v1: the flag's key in PostHog, if it differs."),
    "salt": _text(128, "Omit to keep the live salt; a new flag gets a random one, with posthog-v1 an empty one."),
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
        "flags": _KEYS | {"description": "Flags that must all be on, decided live."},
        "asks": _KEYS | {"description": "Flags that are decided live and passed to the worker."},
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
    """Return the schema for editors: manifest.schema.json."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "urn:headgate:manifest",
        "title": "Headgate manifest",
        "description": "Flags, route policies, and the token profile. A member that a flag omits keeps its live value.",
        **closed(MANIFEST_PROPERTIES),
        "$defs": DEFINITIONS,
    }
