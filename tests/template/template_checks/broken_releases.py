"""Templates whose deployment or rollback fails, by the rule that finds it. The first of each was once released."""

from template_checks import releases
from template_checks.deployment import Check, Raw
from template_checks.edits import Edit, put
from template_checks.expected import IAM, ROUTES

_API = "Resources.HttpApi.Properties"


def _settings_for_each_admin_route(source: Raw) -> None:
    settings = source["Resources"]["HttpApi"]["Properties"]["RouteSettings"]
    for route, (auth, _) in ROUTES.items():
        if auth == IAM:
            settings.setdefault(route, {"ThrottlingRateLimit": 5, "ThrottlingBurstLimit": 20})


BROKEN: dict[Check, dict[str, Edit]] = {
    releases.first_import_succeeds: {
        "fails on warnings": put(f"{_API}.FailOnWarnings", True),
    },
    releases.failed_first_deployment_leaves_nothing_to_pay: {
        "keys are kept": put("Resources.SigningKey1.DeletionPolicy", "Retain"),
        "audit key is kept": put("Resources.AuditKey.DeletionPolicy", "Retain"),
        "capacity is kept": put("Resources.Table.Properties.BillingMode", "PROVISIONED"),
        "rollback fails at the table": put("Resources.Table.DeletionPolicy", "RetainExceptOnCreate"),
    },
    releases.releases_may_remove_and_add_routes: {
        "settings for each admin route": _settings_for_each_admin_route,
        "settings for a route of the worker": put(f"{_API}.RouteSettings.GET /whoami", {"ThrottlingRateLimit": 500}),
        "settings for no route": put(f"{_API}.RouteSettings.GET /gone", {"ThrottlingRateLimit": 500}),
    },
}
