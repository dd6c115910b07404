"""Route policies: read and replace."""

from dataclasses import replace
from typing import Any

from headgate.core.changes.routes import openings
from headgate.core.changes.shrink import losses
from headgate.core.documents import canonical, refuse
from headgate.core.profile import check_told
from headgate.core.routes import check_routes_size, parse_routes, routes_document
from headgate.core.snapshot import EMPTY, read_routes
from headgate.edge.admin.bodies import OpeningBody, read_body
from headgate.edge.admin.call import Admin, check_confirmed, check_version, read_document, shown
from headgate.edge.http import Request, Response
from headgate.store.items import ROUTES_KEY
from headgate.store.record import Answer, Change, Current


def show_routes(admin: Admin, _request: Request) -> Response:
    """GET /admin/v1/routes: list all route policies."""
    snapshot = admin.current().snapshot
    body = {"routes": routes_document(snapshot.routes), "version": snapshot.routes.version}
    return shown({**body, "revision": snapshot.revision}, version=snapshot.routes.version)


def put_routes(admin: Admin, request: Request) -> Response:
    """PUT /admin/v1/routes: replace all route policies. If-Match is the current ETag, or `"0"` if there are none."""
    document = read_document(request)

    def plan(current: Current) -> Change:
        members = dict(document) if isinstance(document, dict) else refuse("$", "must be an object")
        routes = members.pop("routes", None)
        body = read_body(OpeningBody, members)
        after = parse_routes(routes)
        check_routes_size(canonical(routes))
        rules = current.snapshot or EMPTY
        check_told(rules.profile, rules.rules.flags, after)
        check_version(request, current.version)
        held = replace(read_routes(current.document), version=current.version)
        states = replace(rules, routes=held), replace(rules, routes=after)
        check_confirmed(losses(*states), openings(*states), allow_shrink=body.allow_shrink, allow_open=body.allow_open)
        return whole_change("routes", {"routes": routes_document(after)}, current)

    return admin.commit(ROUTES_KEY, plan, request, document, rules=True)


def whole_change(target: str, after: dict[str, Any], current: Current) -> Change:
    """Return the change that replaces the routes or the profile."""
    version = current.version + 1
    document = {**after, "version": version, "revision": current.stamp.revision}
    return Change(f"{target}.replace", version, current.document, document, Answer(200, document, version))
