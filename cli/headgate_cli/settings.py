"""Which API, as whom: the options of the whole command, the environment, the AWS profile, in that order."""

import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import typer

from headgate_cli import failures
from headgate_cli.failures import ExitCode, Failure

if TYPE_CHECKING:
    from headgate_cli.client import Client

GATEWAY_HOST = re.compile(r"\.execute-api\.([a-z0-9-]+)\.amazonaws\.com")
DEFAULT_REGION = "us-east-1"


@dataclass(frozen=True, slots=True)
class Settings:
    """The options given before or after the command's name."""

    api: str | None = None
    profile: str | None = None
    region: str | None = None
    as_json: bool = False


def settings_of(ctx: typer.Context) -> Settings:
    """The settings that the root command put aside."""
    found = ctx.find_object(Settings)
    return found if isinstance(found, Settings) else Settings()


def api_url(settings: Settings) -> str:
    """The API's base URL. Raises `Failure` (usage) where none is named, or it is not safe to send to."""
    from headgate_cli.transport import checked_url

    api = settings.api or os.environ.get("HEADGATE_API")
    if not api:
        raise failures.usage("which API? give --api URL or set HEADGATE_API", "on a laptop: headgate local")
    return checked_url(api)


def client_of(ctx: typer.Context) -> "Client":
    """A client that signs with the caller's AWS credentials. Raises `Failure` where there are none."""
    from botocore.session import Session

    from headgate_cli.client import Client
    from headgate_cli.transport import Signer, Transport

    settings = settings_of(ctx)
    api = api_url(settings)
    session = Session(profile=settings.profile)
    credentials = _credentials(session)
    signer = Signer(credentials, settings.region or region_of(api, session))
    return Client(api, signer, Transport(session.get_config_variable("ca_bundle")))


def region_of(api: str, session: Any) -> str:
    """The region to sign for: the one in an API Gateway host name, else AWS_REGION, the profile's, us-east-1."""
    named = GATEWAY_HOST.search(api)
    if named:
        return named.group(1)
    # botocore itself reads AWS_DEFAULT_REGION only; the other SDKs and the AWS CLI read AWS_REGION first
    return os.environ.get("AWS_REGION") or session.get_config_variable("region") or DEFAULT_REGION


def _credentials(session: Any) -> Any:
    from botocore.exceptions import BotoCoreError, ProfileNotFound

    try:
        found = session.get_credentials()
        frozen = found.get_frozen_credentials() if found else None
    except ProfileNotFound as error:
        raise failures.usage(str(error)) from None
    except BotoCoreError as error:
        raise _signed_out(type(error).__name__) from None
    if frozen is None or not frozen.access_key:
        raise _signed_out("none found")
    return frozen


def _signed_out(why: str) -> Failure:
    hint = "name a profile with --profile, or sign in; on a laptop copy the exports that headgate local prints"
    return Failure(ExitCode.FORBIDDEN, f"no AWS credentials ({why})", slug="no-credentials", hint=hint)
