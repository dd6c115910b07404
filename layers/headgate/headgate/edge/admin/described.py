"""The API's own description. It costs nothing until somebody asks: what makes it is loaded by the first who does."""

from headgate.edge.admin.call import Admin
from headgate.edge.http import Request, Response, respond


def describe(_admin: Admin, _request: Request) -> Response:
    """GET /admin/v1/openapi.json: this document (OpenAPI 3.1)."""
    from headgate.openapi.document import document  # up to 0.5 s that no other call should bear

    return respond(200, document())
