"""The OpenAPI document, generated from the tables and models that the functions use, and the route that serves it."""

from collections.abc import Mapping

from headgate.edge.admin.api import ROUTES
from headgate.edge.admin.call import Admin, Route
from headgate.edge.http import Request, Response, respond


def describe(_admin: Admin, _request: Request) -> Response:
    """GET /admin/v1/openapi.json: get this document (OpenAPI 3.1)."""
    from headgate.openapi.document import document  # takes up to 0.5 s, so not at startup

    return respond(200, document())


SERVED: Mapping[str, Route] = {**ROUTES, "GET /admin/v1/openapi.json": Route(describe, {200: "Document"})}
"""Every route of the admin function."""
