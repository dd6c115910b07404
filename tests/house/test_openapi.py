"""docs/openapi.json and manifest.schema.json are up to date, and the document describes everything that is served."""

import json
from pathlib import Path

import pytest
from described import DESCRIBED, described, operation, responses
from openapi_spec_validator import OpenAPIV31SpecValidator

from headgate.edge.problems import PROBLEMS
from headgate.openapi import SERVED
from headgate.openapi.__main__ import WRITTEN
from headgate.openapi.calls import slugs
from headgate_cli.local.template import load_template

ROOT = Path(__file__).parents[2]
DOCUMENT = described()
TEMPLATE = load_template(ROOT / "template.yaml", {})
DECLARED = {
    f"{route.method} {route.path}": route.auth for route in TEMPLATE.routes if route.function != "WorkerFunction"
}


@pytest.mark.parametrize("name", WRITTEN)
def test_generated_file_is_up_to_date(name: str) -> None:
    written = json.loads((ROOT / name).read_text(encoding="utf-8"))
    assert written == WRITTEN[name](), f"{name} is out of date: run `make openapi` and review the diff"


def test_document_is_valid_openapi() -> None:
    assert list(OpenAPIV31SpecValidator(DOCUMENT).iter_errors()) == []


def test_exactly_the_routes_of_the_template_are_described() -> None:
    assert set(DECLARED) == DESCRIBED
    assert set(SERVED) == {route for route in DESCRIBED if " /admin/" in route}


@pytest.mark.parametrize("route", sorted(DECLARED))
def test_security_matches_the_template(route: str) -> None:
    """Open in the template means open here, except for evaluate, which verifies the token itself."""
    verified_inside = route.startswith("POST /ofrep/")
    expected = [{"sigv4": []}] if DECLARED[route] == "AWS_IAM" else [{"bearer": []}] if verified_inside else []
    assert operation(route)["security"] == expected
    assert {*expected[0]} <= set(DOCUMENT["components"]["securitySchemes"]) if expected else True


@pytest.mark.parametrize("route", sorted(DESCRIBED))
def test_every_call_has_a_description_and_its_failures(route: str) -> None:
    told = operation(route)
    assert len(told["summary"]) > 10
    assert told["summary"][0].isupper()
    assert {"429", "500"} <= set(told["responses"])
    assert ("403" in told["responses"]) or not told["security"]


def test_operation_ids_and_schemas_are_unique() -> None:
    names = [operation(route)["operationId"] for route in sorted(DESCRIBED)]
    assert len(set(names)) == len(names)
    assert all(name.isidentifier() and name[0].isupper() for name in DOCUMENT["components"]["schemas"])


def test_every_schema_is_used() -> None:
    text = json.dumps(DOCUMENT)
    unused = [name for name in DOCUMENT["components"]["schemas"] if f'schemas/{name}"' not in text]
    assert unused == []


def test_every_problem_is_documented() -> None:
    named = DOCUMENT["components"]["schemas"]["Problem"]["properties"]["type"]["enum"]
    assert named == [f"urn:headgate:{slug}" for slug in PROBLEMS]
    for route in SERVED:
        told = " ".join(str(response.get("description")) for response in responses(route).values())
        assert all(f"`{slug}`" in told for slug in slugs(route, SERVED[route]))


BEHIND_THE_GATE = {"missing-context", "forbidden", "internal"}
"""Answers of a service behind the gate: the worker, and the decorator for handlers."""


def test_every_problem_belongs_to_a_call() -> None:
    """tests/edge/test_described_answers.py checks that each is in fact answered."""
    of_calls = set().union(*(slugs(key, route) for key, route in SERVED.items()))
    assert of_calls == set(PROBLEMS) - BEHIND_THE_GATE
