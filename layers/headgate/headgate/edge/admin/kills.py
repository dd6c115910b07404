"""The kills: each flag with its stage and its kill, and nothing else. A kill operator may read this and no flag."""

from headgate.core.flag import flag_document
from headgate.edge.admin.call import Admin, shown
from headgate.edge.admin.paging import list_page
from headgate.edge.http import Request, Response


def list_kills(admin: Admin, request: Request) -> Response:
    """GET /admin/v1/kills: list all flags with their stage and kill, sorted by key, one page at a time."""
    rules = admin.current().snapshot.rules

    def told(key: str) -> dict[str, object]:
        flag = flag_document(rules.flags[key])
        return {name: flag[name] for name in ("key", "stage", "killed")}

    flags, following = list_page(sorted(rules.flags), request, "kills", told)
    return shown({"flags": flags, "revision": rules.revision, "next": following})
