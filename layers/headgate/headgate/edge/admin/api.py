"""The admin API: one table from route key to call, and one way from every failure to a problem.

API Gateway has matched the route and verified the signature; matching the path again would be a second router that
could disagree with the first.
"""

from collections.abc import Callable, Mapping

from headgate.core.faults import Invalid
from headgate.edge import telemetry
from headgate.edge.admin import access, flags, history, kill, rules
from headgate.edge.admin.door import Admin, Refused
from headgate.edge.http import Event, Request, Response, read_request
from headgate.edge.problems import problem
from headgate.edge.strict_json import Malformed, TooLarge
from headgate.store.port import Throttled, Unavailable

ROUTES: Mapping[str, Callable[[Admin, Request], Response]] = {
    "GET /admin/v1/flags": flags.list_flags,
    "GET /admin/v1/flags/{key}": flags.show_flag,
    "PUT /admin/v1/flags/{key}": flags.put_flag,
    "DELETE /admin/v1/flags/{key}": flags.delete_flag,
    "POST /admin/v1/flags/{key}/stage": flags.set_stage,
    "GET /admin/v1/flags/{key}/allow": flags.list_members,
    "POST /admin/v1/flags/{key}/allow": flags.set_members,
    "POST /admin/v1/flags/{key}/kill": kill.kill,
    "POST /admin/v1/flags/{key}/restore": kill.restore,
    "GET /admin/v1/routes": rules.show_routes,
    "PUT /admin/v1/routes": rules.put_routes,
    "GET /admin/v1/manifest": rules.export,
    "POST /admin/v1/manifest": rules.apply,
    "POST /admin/v1/manifest/plan": rules.plan,
    "POST /admin/v1/explain": history.explain,
    "GET /admin/v1/audit": history.list_audit,
    "POST /admin/v1/revocations": access.revoke,
    "GET /admin/v1/sessions": access.list_sessions,
    "DELETE /admin/v1/sessions/{id}": access.end_session,
    "GET /admin/v1/keys": access.list_keys,
    "POST /admin/v1/keys/rotate": access.rotate_keys,
    "POST /admin/v1/keys/revoke": access.revoke_key,
    "GET /admin/v1/health": history.health,
}


def handle(admin: Admin, event: Event) -> Response:
    """Answer one request."""
    request = read_request(event)
    try:
        response = ROUTES[request.route_key](admin, request)
    except Refused as refused:
        response = refused.response()
    except Invalid as invalid:
        response = problem("invalid-body", "see errors", faults=invalid.faults)
    except Malformed as fault:
        response = problem("invalid-json", str(fault))
    except TooLarge as fault:
        response = problem("too-large", str(fault))
    except (Unavailable, Throttled) as failure:
        telemetry.count("StoreUnavailable", function="admin")
        telemetry.log("unavailable", function="admin", error=str(failure), request_id=request.request_id)
        response = problem("unavailable", "whether the change was made is not known; repeat it with its key")
    telemetry.log("answered", function="admin", route=request.route_key, status=response["statusCode"],
                  request_id=request.request_id)  # fmt: skip
    return response
