"""Which API, as whom: the options of the whole command, the environment, the AWS profile, in that order."""

import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import typer

from headgate_cli import failures
from headgate_cli.failures import ExitCode, Failure

if TYPE_CHECKING:
    import boto3
    from botocore.credentials import ReadOnlyCredentials

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
    from headgate_cli.client import Client
    from headgate_cli.transport import RequestSigner, Transport

    settings = settings_of(ctx)
    api = api_url(settings)
    session = aws_session(settings)
    signer = RequestSigner(_credentials(session), settings.region or region_of(api, session))
    ca_bundle = session._session.get_config_variable("ca_bundle")  # noqa: SLF001  # boto3 has no other way to read it
    return Client(api, signer, Transport(ca_bundle))


def aws_session(settings: Settings) -> "boto3.Session":
    """An AWS session that has its credentials, whether keys, an assumed role, a process or single sign-on gives them.

    Raises `Failure`: usage where the AWS config files cannot be used, forbidden where there are no credentials.
    """
    import boto3
    from botocore.exceptions import ConfigNotFound, ConfigParseError, ProfileNotFound

    # boto3 itself reads AWS_DEFAULT_REGION only; the other SDKs and the AWS CLI read AWS_REGION first
    region = settings.region or os.environ.get("AWS_REGION") or None
    try:
        session = boto3.Session(profile_name=settings.profile, region_name=region)
        _credentials(session)
    except (ConfigNotFound, ConfigParseError, ProfileNotFound) as error:
        raise failures.usage(str(error)) from None
    return session


def _credentials(session: "boto3.Session") -> "ReadOnlyCredentials":
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        found = session.get_credentials()
        frozen = found.get_frozen_credentials() if found else None
    except (BotoCoreError, ClientError) as error:
        raise _signed_out(str(error)) from None
    except (
        OSError,
        ValueError,
        TypeError,
        AttributeError,
    ) as error:  # by a credential_process
        raise _signed_out(f"they cannot be read: {error}") from None
    if frozen is None or not frozen.access_key:
        raise _signed_out("none found")
    return frozen


def region_of(api: str, session: "boto3.Session") -> str:
    """The region to sign for: the one in an API Gateway host name, else the session's, us-east-1."""
    named = GATEWAY_HOST.search(api)
    return named.group(1) if named else session.region_name or DEFAULT_REGION


def _signed_out(why: str) -> Failure:
    hint = "name a profile with --profile, or sign in (aws sso login); on a laptop copy the exports of headgate local"
    return Failure(ExitCode.FORBIDDEN, "no AWS credentials", why, slug="no-credentials", hint=hint)
