"""The served OpenAPI document is true: schemathesis generates requests from it and checks the answers against it.

A request that fits the document never causes a server error, one that does not is rejected, and every answer has a
documented status, headers, media type, and body.
"""

from collections import Counter
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode

import pytest
import schemathesis
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from described import DESCRIBED, operation
from hypothesis import HealthCheck, Phase, given, settings
from running_gate import Gate, Person
from running_gate.people import new_id
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi import checks

pytestmark = pytest.mark.own_stack  # random requests change everything

LIMITS = settings(
    max_examples=12, database=None, derandomize=True, suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.generate],
)  # fmt: skip
CHECKS = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
    checks.negative_data_rejection,
]
REFUSALS = ["400", "404", "409", "412", "413", "415", "422", "428"]
"""Statuses for a request that does not fit. 403 would be the gateway rejecting the signature."""
MODES = {"fitting": GenerationMode.POSITIVE, "misfit": GenerationMode.NEGATIVE}


class Signed:
    """Signs a request as it is sent: the query as AWS writes it, and the headers that every client sends."""

    def __init__(self, gate: Gate) -> None:
        keys = gate.ready["admin"]
        credentials = Credentials(keys["access_key_id"], keys["secret_access_key"])
        self._signer = SigV4Auth(credentials, "execute-api", gate.ready["region"])

    def __call__(self, prepared: Any) -> Any:
        address, _, query = prepared.url.partition("?")
        pairs = parse_qsl(query, keep_blank_values=True)
        prepared.url = f"{address}?{urlencode(pairs, quote_via=quote, safe='-_.~')}" if pairs else address
        request = AWSRequest(prepared.method, prepared.url, data=prepared.body)
        self._signer.add_auth(request)
        prepared.headers.update(dict(request.headers.items()))
        return prepared


class Bearer:
    """Adds a token to every request."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, prepared: Any) -> Any:
        prepared.headers["authorization"] = f"Bearer {self._token}"
        return prepared


@pytest.fixture(scope="module")
def schema(gate: Gate) -> Any:
    """The document that the stack serves."""
    served = gate.signed("GET", "/admin/v1/openapi.json", role="viewer").expect(200).json
    made = schemathesis.openapi.from_dict(served)
    made.config.generation.update(with_security_parameters=False)
    made.config.checks.negative_data_rejection.expected_statuses = REFUSALS
    return made


@pytest.fixture(scope="module")
def auths(gate: Gate) -> dict[str, Any]:
    """By the security scheme that a call names."""
    return {"sigv4": Signed(gate), "bearer": Bearer(gate.service_token())}


def takes_something(route: str) -> bool:
    return bool(operation(route).get("parameters")) or "requestBody" in operation(route)


LAST = "POST /admin/v1/restored"  # it revokes every token, also those of the other calls
ROUTES = sorted(DESCRIBED, key=lambda route: (route == LAST, route))
CASES = [(route, mode) for route in ROUTES for mode in MODES if mode == "fitting" or takes_something(route)]


BY_IMPORT = "an import's id is made by the call that opens it"
OUT_OF_REACH = {
    "GET /admin/v1/flags/{key}/imports/{import}": BY_IMPORT,
    "DELETE /admin/v1/flags/{key}/imports/{import}": BY_IMPORT,
    "POST /admin/v1/flags/{key}/imports/{import}/members": BY_IMPORT,
    "POST /admin/v1/flags/{key}/imports/{import}/commit": BY_IMPORT,
    "DELETE /admin/v1/sessions/{id}": "a session's id is made by the server",
    "POST /admin/v1/keys/revoke": "no key of the pool has a name that can be guessed",
}
"""Calls that no document can make succeed, and why."""


@pytest.mark.parametrize(("route", "mode"), CASES)
def test_answers_match_the_openapi_document(
    gate: Gate, schema: Any, auths: dict[str, Any], route: str, mode: str
) -> None:
    method, path = route.split()
    schemes = [name for scheme in operation(route)["security"] for name in scheme]
    auth = auths[schemes[0]] if schemes else None
    complete = completed(gate, route) if mode == "fitting" else unmodified
    seen: Counter[int] = Counter()

    @LIMITS
    @given(schema[path][method].as_strategy(MODES[mode]))
    def ask(case: Any) -> None:
        complete(case)
        answer = case.call(base_url=gate.api, auth=auth)
        seen[answer.status_code] += 1
        case.validate_response(answer, checks=CHECKS)

    ask()
    if mode == "fitting" and route not in OUT_OF_REACH:
        assert any(status < 400 for status in seen), seen


def unmodified(_case: Any) -> None:
    """A request that does not fit is sent as generated."""


def completed(gate: Gate, route: str) -> Callable[[Any], None]:
    """What no document can express: an existing flag, its version, a new key for each change, a subject's token."""
    key = "gastown-access" if "/ofrep/" in route else new_id("schema")
    if route.partition(" ")[2].startswith("/admin/v1/flags/{key}"):
        gate.create(key)
    token = gate.id_token(Person(admin=True)) if route == "POST /v1/token" else ""

    def complete(case: Any) -> None:
        if "{key}" in route:
            case.path_parameters["key"] = key
        if "Idempotency-Key" in case.headers:
            case.headers["Idempotency-Key"] = new_id("key")
        if "If-Match" in case.headers or route.startswith("PUT "):
            case.headers.pop("If-None-Match", None)
            read = "/admin/v1/routes" if route == "PUT /admin/v1/routes" else f"/admin/v1/flags/{key}"
            case.headers["If-Match"] = gate.signed("GET", read).headers.get("etag", '"0"')
        if isinstance(case.body, dict):
            known = {"subject_token": token, "flag": "gastown-access", "change": {"stage": "ga"}, "key": key,
                    "requires": [], "allow_shrink": True}  # fmt: skip
            case.body |= {name: value for name, value in known.items() if name in case.body}
            case.body |= {"allow_shrink": True, "allow_open": True} if route == "PUT /admin/v1/routes" else {}
            if isinstance(case.body.get("context"), dict):
                case.body["context"]["targetingKey"] = "somebody"

    return complete
