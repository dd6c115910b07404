"""`headgate tour`: the whole story of a rollout, played against a running stack in seconds, each answer checked."""

import contextlib
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from headgate_cli import failures, render
from headgate_cli.failures import ExitCode, Failure
from headgate_cli.options import option
from headgate_cli.project import TOUR, find_example
from headgate_cli.settings import client_of, settings_of

if TYPE_CHECKING:
    from headgate_cli.tour.cast import Cast
    from headgate_cli.tour.story import Story

Idp = Annotated[
    str | None,
    option("--idp", envvar="HEADGATE_IDP", metavar="URL", help="The stack's dev identity provider, with --api."),
]


def tour(ctx: typer.Context, idp: Idp = None) -> None:
    """Play a whole rollout and check each answer.

    It starts a stack of its own and ends it. With --api URL it plays on a fresh stack of this machine (headgate local),
    and puts back what it changed.
    """
    from headgate_cli.tour.run import play, say_aloud, sum_line
    from headgate_cli.tour.story import read_story

    story = read_story(find_example() / TOUR)
    as_json = settings_of(ctx).as_json
    say = (lambda _line: None) if as_json else say_aloud
    say(typer.style("Headgate: one feature, from its first user to everyone, killed and restored", bold=True))
    with _stage(ctx, idp, story) as cast:
        say(f"  on {cast.api}")
        outcome = play(cast, story.chapters, say)
    say("")
    say(sum_line(outcome))
    if as_json:
        render.show_json(outcome.as_document())
    if outcome.failed:
        raise typer.Exit(int(ExitCode.CHECK_FAILED))


def _stage(ctx: typer.Context, idp: str | None, story: "Story") -> "contextlib.AbstractContextManager[Cast]":
    return _running(ctx, idp, story) if settings_of(ctx).api else _own(story)


@contextlib.contextmanager
def _own(story: "Story") -> Iterator["Cast"]:
    """A stack that lives as long as the tour."""
    from botocore.credentials import ReadOnlyCredentials

    from headgate_cli.client import Client
    from headgate_cli.local.stack import StackFailed, running_stack
    from headgate_cli.tour.cast import Cast
    from headgate_cli.transport import RequestSigner, Transport

    try:
        with running_stack() as stack:
            admin, transport = stack.ready["admin"], Transport()
            credentials = ReadOnlyCredentials(admin["access_key_id"], admin["secret_access_key"], None)
            client = Client(stack.api, RequestSigner(credentials, str(stack.ready["region"])), transport)
            yield begun(Cast(stack.api, stack.idp, story.people, client, transport), story)
    except StackFailed as error:
        raise Failure(ExitCode.UNAVAILABLE, "no stack to play on", str(error), slug="local") from None


@contextlib.contextmanager
def _running(ctx: typer.Context, idp: str | None, story: "Story") -> Iterator["Cast"]:
    """A running stack of this machine, found fresh and left as found."""
    from headgate_cli.tour.cast import Cast
    from headgate_cli.transport import Transport, checked_url, is_loopback

    client = client_of(ctx)
    if not is_loopback(client.api):
        raise failures.usage("the tour changes flags: it plays on this machine only (headgate local)")
    if not idp:
        raise failures.usage("with --api the tour needs --idp URL or HEADGATE_IDP")
    transport = Transport(os.environ.get("AWS_CA_BUNDLE"))
    cast = begun(Cast(client.api, checked_url(idp), story.people, client, transport), story)
    try:
        yield cast
    finally:
        put_back(cast)


def begun(cast: "Cast", story: "Story") -> "Cast":
    """The cast on a stack that is fresh. Raises `Failure` where the story could not begin there."""
    from headgate_cli.audit_stream import stream_head

    for key in story.flags:
        flag = cast.read(key)
        allow = flag.get("allow") or {}
        if flag.get("stage") != "admin_only" or flag.get("killed") or any(allow.values()):
            hint = "the story begins with a fresh install: restart headgate local, or run headgate tour without --api"
            raise Failure(ExitCode.CONFLICT, f"{key} is in use on this stack", slug="not-fresh", hint=hint)
        cast.found[key] = flag
    cast.began_at = cast.revision = int(stream_head(cast.admin)["revision"])
    return cast


def put_back(cast: "Cast") -> None:
    """Every flag that the tour touched as it found it."""
    from headgate_cli.tour.story import NEVER_THE_SAME

    for key, flag in cast.found.items():
        path = f"/admin/v1/flags/{key}"
        body = {name: value for name, value in flag.items() if name not in (*NEVER_THE_SAME, "killed")}
        if cast.read(key).get("killed"):
            cast.admin.change("POST", f"{path}/restore", {"reason": "headgate tour is over"}).required()
        given = {**body, "allow_shrink": True, "reason": "headgate tour is over"}
        cast.admin.update("PUT", path, given, read=path)
