"""`headgate local`: run the whole stack on one machine, without an AWS account, and print how to reach it."""

import json
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from headgate_cli import failures
from headgate_cli.failures import ExitCode, Failure
from headgate_cli.options import option
from headgate_cli.project import EXAMPLE, MANIFEST, TEMPLATE, find_project

if TYPE_CHECKING:
    from headgate_cli.local.run import Ready

EXTRA = ("moto", "starlette", "uvicorn", "python_multipart")
"""The import names of the extra `local`."""

Port = Annotated[int, typer.Option("--port", min=0, max=65535, help="The API's port; 0 for a free one.")]
IdpPort = Annotated[int, typer.Option("--idp-port", min=0, max=65535, help="The dev identity provider's port.")]
_Manifest = Annotated[
    Path | None, option("--manifest", metavar="FILE", help="The manifest to apply. Default: the app's, if any.")
]
_Legacy = Annotated[
    Path | None,
    option("--legacy", metavar="FILE", help="Accept a legacy issuer's tokens: JSON with issuer and secret."),
]
Empty = Annotated[bool, typer.Option("--empty", help="Apply the manifest without its flags.")]
ReadyJson = Annotated[bool, typer.Option("--ready-json", help="Print the addresses and keys as one line of JSON.")]
Logs = Annotated[Path | None, option("--logs", metavar="FILE", help="Write the functions' logs here. Default: stderr.")]
Apps = Annotated[
    list[Path] | None,
    option("--app", metavar="DIR", help="A service to run behind the gate, instead of the example; repeatable."),
]
Project = Annotated[
    Path | None, option("--project", metavar="DIR", help="Headgate's source folder. Default: the nearest.")
]
Parent = Annotated[int | None, option("--parent", metavar="PID", hidden=True, help="End when this process is gone.")]


def local(
    port: Port = 3000,
    idp_port: IdpPort = 3001,
    app: Apps = None,
    manifest: _Manifest = None,
    legacy: _Legacy = None,
    empty: Empty = False,
    ready_json: ReadyJson = False,
    logs: Logs = None,
    project: Project = None,
    parent: Parent = None,
) -> None:
    """Run the API, the functions, DynamoDB, KMS, and a dev identity provider on this machine until Ctrl-C.

    Example: headgate local --app ../my-service
    """
    began = time.monotonic()
    for name in EXTRA:
        if find_spec(name) is None:
            raise failures.usage(f"{name} is not installed", "pip install 'headgate[local]'")
    import asyncio

    from headgate_cli.local.aws import EndpointRefused
    from headgate_cli.local.intrinsics import TemplateError
    from headgate_cli.local.old_tokens import read_old_tokens
    from headgate_cli.local.run import Options, StartFailed, run_local

    root = project or find_project()
    apps = app or [folder for folder in [root / EXAMPLE] if folder.is_dir()]
    own = (apps[0] if apps else root) / MANIFEST
    options = Options(
        template=root / TEMPLATE,
        apps=[folder / TEMPLATE for folder in apps],
        manifest=manifest or (own if own.is_file() else None),
        old_tokens=None if legacy is None else read_old_tokens(legacy),
        empty=empty,
        port=port,
        idp_port=idp_port,
        logs=logs,
        parent=parent,
        began=began,
    )
    try:
        asyncio.run(run_local(options, _say_json if ready_json else _say))
    except (TemplateError, EndpointRefused) as error:
        raise failures.usage(str(error)) from None
    except StartFailed as error:
        raise Failure(ExitCode.UNAVAILABLE, str(error), slug="local") from None


def _say_json(ready: "Ready") -> None:
    sys.stdout.write(json.dumps(ready.document()) + "\n")
    sys.stdout.flush()
    sys.stderr.write(f"ready in {ready.seconds:.2f} s\n")
    sys.stderr.flush()


def _say(ready: "Ready") -> None:
    admin = ready.principals["admin"]
    others = ", ".join(name for name in ready.principals if name != "admin")
    sys.stdout.write(
        f"""Headgate is running on this machine (ready in {ready.seconds:.2f} s). Press Ctrl-C to stop.

  API                {ready.api}
  identity provider  {ready.idp}   (open it in a browser to sign in as anyone)

To use the headgate command, curl, or an SDK, run this in another terminal. The keys work for this run only.

  export HEADGATE_API={ready.api} HEADGATE_IDP={ready.idp} AWS_REGION={ready.document()["region"]}
  export AWS_ACCESS_KEY_ID={admin.access_key_id} AWS_SECRET_ACCESS_KEY={admin.secret_access_key}
  export AWS_ENDPOINT_URL_LAMBDA={ready.control} AWS_ENDPOINT_URL_CLOUDFORMATION={ready.control}
  unset AWS_SESSION_TOKEN AWS_PROFILE

A service that reads the rules itself (examples/lambda-handler) also needs the table:

  export AWS_ENDPOINT_URL_DYNAMODB={ready.dynamodb} HEADGATE_TABLE={ready.table} AWS_DEFAULT_REGION=$AWS_REGION

For example:

  ID=$(curl -s $HEADGATE_IDP/token -d sub=root -d admin=true | cut -d'"' -f4)

  curl -s $HEADGATE_API/v1/token -d subject_token=$ID \\
    -d grant_type=urn:ietf:params:oauth:grant-type:token-exchange \\
    -d subject_token_type=urn:ietf:params:oauth:token-type:id_token

  curl -s $HEADGATE_API/admin/v1/flags --aws-sigv4 aws:amz:$AWS_REGION:execute-api \\
    --user $AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY

For the keys of other principals ({others}), use --ready-json.
"""
    )
    sys.stdout.flush()
