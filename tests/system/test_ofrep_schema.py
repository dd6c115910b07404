"""OFREP 0.3.0 conformance: schemathesis generates requests, a running stack answers, the schema validates."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import schemathesis
import yaml
from hypothesis import HealthCheck, Phase, given, settings
from running_gate import Gate, Person
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import response_schema_conformance

SPEC = Path(__file__).parents[1] / "specs" / "ofrep-0.3.0.yaml"
SINGLE, BULK = "/ofrep/v1/evaluate/flags/{key}", "/ofrep/v1/evaluate/flags"
LIMITS = settings(
    max_examples=120, database=None, derandomize=True, suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.generate],
)  # fmt: skip


def statuses(gate: Gate, path: str, token: str, mode: GenerationMode, **fixed: Any) -> Counter[int]:
    """The statuses of requests generated from the schema. Each answer is validated."""
    schema = schemathesis.openapi.from_dict(yaml.safe_load(SPEC.read_text()))
    seen: Counter[int] = Counter()

    @LIMITS
    @given(schema[path]["POST"].as_strategy(mode, **fixed))
    def ask(case: Any) -> None:
        answer = case.call(base_url=gate.api, headers={"authorization": f"Bearer {token}"})
        seen[answer.status_code] += 1
        case.validate_response(answer, checks=[not_a_server_error, response_schema_conformance])

    ask()
    return seen


@pytest.fixture(scope="module")
def token(gate: Gate) -> str:
    """A backend may name any subject, so every well-formed context gets an answer."""
    return gate.service_token()


def test_every_well_formed_bulk_request_is_answered(gate: Gate, token: str) -> None:
    seen = statuses(gate, BULK, token, GenerationMode.POSITIVE)
    assert seen[200] > 0
    assert seen.keys() <= {200, 304, 400}


def test_every_well_formed_single_request_is_answered(gate: Gate, token: str) -> None:
    seen = statuses(gate, SINGLE, token, GenerationMode.POSITIVE, path_parameters={"key": "gastown-access"})
    assert seen[200] > 0
    assert seen.keys() <= {200, 400}


def test_well_formed_request_for_any_key_is_answered(gate: Gate, token: str) -> None:
    assert statuses(gate, SINGLE, token, GenerationMode.POSITIVE).keys() <= {200, 400, 404, 413}


@pytest.mark.parametrize("path", [SINGLE, BULK])
def test_malformed_request_gets_the_specified_failure(gate: Gate, token: str, path: str) -> None:
    seen = statuses(gate, path, token, GenerationMode.NEGATIVE)
    assert seen[400] > 0


def test_user_may_evaluate_only_for_itself(gate: Gate) -> None:
    seen = statuses(gate, BULK, gate.evaluation_token(Person()), GenerationMode.POSITIVE)
    assert seen[403] > 0
    assert seen.keys() <= {200, 304, 400, 403}
