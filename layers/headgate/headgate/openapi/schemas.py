"""The document's schemas: those of the models, and those of the bodies that the core parses."""

import inspect
from collections.abc import Iterable
from types import ModuleType
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, models_json_schema
from pydantic_core.core_schema import WithDefaultSchema

from headgate.core import limits
from headgate.edge.admin.bodies import ChangeBody, OpeningBody
from headgate.edge.admin.manifest import ApplyBody, PlanBody
from headgate.openapi.manifest import DEFINITIONS, FLAG, MANIFEST_PROPERTIES, Schema, array_of, closed, ref
from headgate.openapi.parts import NAMED, AnswerSchema

COMPONENTS = "#/components/schemas/"
IN_MANIFEST = {
    "key": "Key", "flag": "FlagSettings", "member": "Member", "rule": "Rule", "clause": "Clause",
    "route": "RouteSettings",
}  # fmt: skip


class _Generator(GenerateJsonSchema):
    """Names components without the `Schema` suffix, omits titles, and allows no null for optional members."""

    def normalize_name(self, name: str) -> str:
        return super().normalize_name(name).removesuffix("Schema")

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002  # the signature is pydantic's
        return False

    def default_schema(self, schema: WithDefaultSchema) -> dict[str, Any]:
        if schema.get("default", ...) is None:
            return self.generate_inner(schema["schema"])
        return super().default_schema(schema)


def component(name: str) -> Schema:
    """Reference a schema of the document."""
    return {"$ref": COMPONENTS + name}


def of_models(models: Iterable[type[BaseModel]]) -> dict[str, Schema]:
    """Return the schemas of models, and of all models in them, by name."""
    wanted = [(model, "validation") for model in models]
    _, made = models_json_schema(wanted, ref_template=COMPONENTS + "{model}", schema_generator=_Generator)  # type: ignore[arg-type]
    return {name: _placed(schema) for name, schema in made["$defs"].items()}


def _placed(schema: Any) -> Any:
    """Return the schema with references into this document."""
    if isinstance(schema, list):
        return [_placed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if NAMED in schema:
        return component(schema[NAMED])
    if str(schema.get("$ref", "")).startswith("#/$defs/"):
        return component(IN_MANIFEST[schema["$ref"].removeprefix("#/$defs/")])
    return {name: _placed(part) for name, part in schema.items() if not (name == "title" and isinstance(part, str))}


def _with(properties: Schema, options: type[BaseModel], *required: str) -> Schema:
    """Add a change's own members to a body that the core parses."""
    model = of_models([options])[options.__name__]
    return closed({**properties, **model["properties"]}, *required, *model.get("required", ()))


NEXT_FLAGS = {"type": "string", "description": "The cursor of the flags that did not fit; absent if all did."}


def documents() -> dict[str, Schema]:
    """Return the schemas of what the core parses: the manifest, its parts, and the bodies that contain them."""
    bodies = {
        "Manifest": closed(MANIFEST_PROPERTIES | {"next": NEXT_FLAGS}),
        "FlagBody": _with(FLAG, ChangeBody),
        "RoutesBody": _with({"routes": array_of(ref("route"), limits.MAX_ROUTES)}, OpeningBody, "routes"),
        "ApplyBody": _with(MANIFEST_PROPERTIES, ApplyBody),
        "PlanBody": _with(MANIFEST_PROPERTIES, PlanBody),
    }
    parts = {name: DEFINITIONS[part] for part, name in IN_MANIFEST.items()}
    return {name: _placed(schema) for name, schema in {**bodies, **parts}.items()}


def answers_in(*modules: ModuleType) -> list[type[BaseModel]]:
    """Return every response model in the modules."""
    named = [value for module in modules for value in vars(module).values()]
    classes = [one for one in named if inspect.isclass(one) and issubclass(one, AnswerSchema)]
    return list(dict.fromkeys(one for one in classes if one is not AnswerSchema))
