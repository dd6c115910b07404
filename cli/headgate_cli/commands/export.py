"""`headgate export`: write the current rules as a manifest."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from headgate_cli import render
from headgate_cli.failures import ExitCode, Failure
from headgate_cli.options import AsOf, flag_path
from headgate_cli.settings import client_of, settings_of

if TYPE_CHECKING:
    from headgate_cli.client import Client

WithoutLists = Annotated[bool, typer.Option("--without-lists", help="Exit with 0 although long lists are left out.")]


def export(ctx: typer.Context, as_of: AsOf = None, without_lists: WithoutLists = False) -> None:
    """Write the current rules as a manifest.

    It includes the salts, so that applying it elsewhere keeps everyone's bucket. It does not include the ids of long
    lists: it says how many are left out, and exits with 1. headgate allow list and allow import carry them.

    Example: headgate export --as-of 2030-01-31T18:00:00Z
    """
    from headgate_cli.manifest_file import manifest_text

    client = client_of(ctx)
    answer = client.get("/admin/v1/manifest", {"as_of": as_of})
    document, count = answer.document, int(answer.headers.get("x-headgate-left-out", 0))
    while "next" in document:
        page = client.get("/admin/v1/manifest", {"cursor": document.pop("next")}).document
        document |= {**page, "flags": document["flags"] + page["flags"]}
    left_out: list[tuple[str, str]] = []
    if count and not without_lists:
        left_out = _left_out(client, document) if as_of is None else []
        left_out = left_out or [(f"{count:,} ids of long lists", "headgate allow list KEY")]
    if settings_of(ctx).as_json:
        render.show_json(document)
    else:
        notes = "".join(f"# not in this file: {render.escaped(what)}\n" for what, _ in left_out)
        typer.echo(notes + manifest_text(document), nl=False)
    if left_out:
        raise Failure(
            ExitCode.CHECK_FAILED,
            "the manifest is incomplete",
            slug="lists-left-out",
            faults=tuple((command, what) for what, command in left_out),
            hint="carry the lists with headgate allow list and allow import, then pass --without-lists",
        )


def _left_out(client: "Client", document: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return what the manifest leaves out of each list as it is now, and the command that reads the whole list."""
    held = {flag["key"]: flag.get("allow") or {} for flag in document.get("flags", [])}
    found = []
    for flag in (flag for page in client.pages("/admin/v1/flags") for flag in page.get("flags", [])):
        beyond, key = flag.get("members") or {}, str(flag.get("key"))
        for kind in ("user", "org"):
            if not beyond.get(f"{kind}s") or key not in held:
                continue
            counts = client.get(f"{flag_path(key)}/allow", {"kind": kind, "limit": 1}).document.get("counts") or {}
            missing = counts.get(f"{kind}s", 0) - len(held[key].get(f"{kind}s", ()))
            found.append((f"{missing:,} of the {kind}s listed by {key}", f"headgate allow list {key} --kind {kind}"))
    return found
