"""How a stack is made, changed, and rolled back: a small model of CloudFormation and API Gateway, and rules by it.

The order is CloudFormation's. The API comes before its stage, which refers to it: a deployment, and the rollback of
one, first imports the API's body and so sets its routes, then updates the stage. API Gateway refuses any stage whose
settings name a route that does not exist, also if the update would remove that setting
(https://github.com/aws/serverless-application-model/issues/1939).

Each check takes a deployment and yields its faults as text. A valid deployment yields none.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass

from openapi_spec_validator import OpenAPIV30SpecValidator
from template_checks.deployment import Deployment, Raw
from template_checks.expected import THROTTLED

FREE = {"AWS::Lambda::LayerVersion"}
"""Types that cost nothing when kept."""


def import_warnings(body: Raw) -> Iterator[str]:
    """What API Gateway's import warns of: the faults that a strict validator finds in the body.

    The import takes three things without a warning that every body of SAM has and OpenAPI forbids: empty `responses`,
    path parameters without a schema, and a title by reference. They are mended first. It warns of a `servers` entry
    without `url`, which SAM writes for `DisableExecuteApiEndpoint`, whatever its value
    (https://github.com/aws/serverless-application-model/issues/2424).
    """
    mended = json.loads(json.dumps(body))
    mended["info"]["title"] = "headgate"
    for operations in mended["paths"].values():
        for operation in operations.values():
            operation["responses"] = operation["responses"] or {"default": {"description": "any"}}
            for parameter in operation.get("parameters", []):
                parameter["schema"] = {"type": "string"}
    for fault in OpenAPIV30SpecValidator(mended).iter_errors():
        path = ".".join(map(str, getattr(fault, "absolute_path", ())))
        yield f"{path}: {fault.message.splitlines()[0]}"


def first_import_succeeds(d: Deployment) -> Iterator[str]:
    for name, api in d.of("AWS::ApiGatewayV2::Api").items():
        if api.get("FailOnWarnings"):
            yield from (
                f"the first deployment fails: FailOnWarnings, and {name} warns {w}"
                for w in import_warnings(api["Body"])
            )


def failed_first_deployment_leaves_nothing_to_pay(d: Deployment) -> Iterator[str]:
    """Nothing that costs money without being used, and nothing that the rollback tries to delete and cannot."""
    for name, resource in d.resources.items():
        kind, properties = resource["Type"], resource.get("Properties", {})
        if resource.get("DeletionPolicy") == "Retain":
            idle = kind in FREE or (kind == "AWS::DynamoDB::Table" and properties["BillingMode"] == "PAY_PER_REQUEST")
            if not idle:
                yield f"a failed first deployment leaves {name}, a {kind}, which costs money"
        elif properties.get("DeletionProtectionEnabled"):
            yield f"the rollback of a failed first deployment cannot delete {name}, which is protected"


@dataclass(frozen=True)
class Version:
    """What matters of a version of the template: its routes, and the routes that its stage has settings for."""

    routes: frozenset[str]
    settings: frozenset[str]


def version(d: Deployment) -> Version:
    (stage,) = d.of("AWS::ApiGatewayV2::Stage").values()
    routes = frozenset(f"{method} {path}" for method, path, _ in d.operations())
    return Version(routes, frozenset(stage.get("RouteSettings", {})))


def without(old: Version, route: str) -> Version:
    return Version(old.routes - {route}, old.settings - {route})


def moved(old: Version, new: Version) -> Iterator[str]:
    """The faults of changing a stack from one version to another; a rollback is a change back."""
    for route in sorted((old.settings | new.settings) - new.routes):
        yield f"Unable to find Route by key {route} within the provided RouteSettings"


def releases_may_remove_and_add_routes(d: Deployment) -> Iterator[str]:
    """Any route but those that every version has can be removed, and a version that added it can be rolled back."""
    this = version(d)
    for route in sorted(this.settings - this.routes):
        yield f"the first deployment fails: {route} has settings and does not exist"
    for route in sorted(this.routes - THROTTLED.keys()):
        yield from (
            f"a version without {route} cannot be deployed, or rolled back to: {f}"
            for f in moved(this, without(this, route))
        )


CHECKS = (first_import_succeeds, failed_first_deployment_leaves_nothing_to_pay, releases_may_remove_and_add_routes)
