"""docs/openapi.json and manifest.schema.json are what the code makes, and the document tells of all that is served."""

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
def test_what_lies_here_is_what_the_code_makes(name: str) -> None:
    written = json.loads((ROOT / name).read_text(encoding="utf-8"))
    assert written == WRITTEN[name](), f"{name} is old: run `make openapi` and look at what changed"


def test_it_is_an_openapi_document() -> None:
    assert list(OpenAPIV31SpecValidator(DOCUMENT).iter_errors()) == []


def test_every_route_of_the_template_is_described_and_no_other() -> None:
    assert set(DECLARED) == DESCRIBED
    assert set(SERVED) == {route for route in DESCRIBED if " /admin/" in route}


@pytest.mark.parametrize("route", sorted(DECLARED))
def test_security_is_the_templates(route: str) -> None:
    """Open in the template means open here too, but for evaluate, which verifies the token itself."""
    verified_inside = route.startswith("POST /ofrep/")
    expected = [{"sigv4": []}] if DECLARED[route] == "AWS_IAM" else [{"bearer": []}] if verified_inside else []
    assert operation(route)["security"] == expected
    assert {*expected[0]} <= set(DOCUMENT["components"]["securitySchemes"]) if expected else True


@pytest.mark.parametrize("route", sorted(DESCRIBED))
def test_every_call_has_its_words_and_its_failures(route: str) -> None:
    told = operation(route)
    assert len(told["summary"]) > 10
    assert told["summary"][0].isupper()
    assert {"429", "500"} <= set(told["responses"])
    assert ("403" in told["responses"]) or not told["security"]


def test_no_two_calls_have_one_name_and_no_schema_has_two() -> None:
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
"""What a service behind the gate answers: the worker, and the decorator for handlers."""


def test_every_problem_is_some_calls() -> None:
    """That each is in fact answered is seen in tests/edge/test_described_answers.py."""
    of_calls = set().union(*(slugs(key, route) for key, route in SERVED.items()))
    assert of_calls == set(PROBLEMS) - BEHIND_THE_GATE
