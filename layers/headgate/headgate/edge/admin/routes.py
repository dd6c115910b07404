"""Route policies: read and replace."""

from typing import Any

from headgate.core.changes.flag import routes_shrink
from headgate.core.changes.refusal import Refusal, Slug
from headgate.core.documents import canonical, refuse
from headgate.core.profile import check_told
from headgate.core.routes import check_routes_size, parse_routes, routes_document
from headgate.core.snapshot import read_routes
from headgate.edge.admin.bodies import ChangeBody, read_body
from headgate.edge.admin.call import Admin, check_version, read_document, shown
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
        body = read_body(ChangeBody, members)
        after = parse_routes(routes)
        check_routes_size(canonical(routes))
        if current.snapshot is not None:
            check_told(current.snapshot.profile, current.snapshot.rules.flags, after)
        check_version(request, current.version)
        before = read_routes(current.document)
        access = current.snapshot.profile.access if current.snapshot else None
        if before.policies() and routes_shrink(before, after, access) and not body.allow_shrink:
            raise Refusal(Slug.WOULD_SHRINK, "a route would admit fewer requests; set allow_shrink to confirm")
        return whole_change("routes", {"routes": routes_document(after)}, current)

    return admin.commit(ROUTES_KEY, plan, request, document, rules=True)


def whole_change(target: str, after: dict[str, Any], current: Current) -> Change:
    """Return the change that replaces the routes or the profile."""
    version = current.version + 1
    document = {**after, "version": version, "revision": current.stamp.revision}
    return Change(f"{target}.replace", version, current.document, document, Answer(200, document, version))
