"""Decides which AWS the local functions use: moto in a child process, or the caller's own DynamoDB.

If AWS_ENDPOINT_URL_DYNAMODB or AWS_ENDPOINT_URL is set, DynamoDB is that endpoint (DynamoDB Local, or a proxy that
injects faults). It must be on loopback, since what is tried out must never leave the machine. It must not know what
the tables contain.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from secrets import token_urlsafe
from urllib.parse import urlsplit

from headgate_cli.local.addresses import listen, url_of
from headgate_cli.local.children import interpreter, library_folders
from headgate_cli.local.declared import ACCOUNT_ID, REGION, Template

MOTO_SERVER = Path(__file__).with_name("moto_server.py")
PACKAGES = Path(__file__).parents[2]
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
KEY_ID = "LOCALHEADGATE0000000"
"""The access key id for DynamoDB and KMS on loopback. DynamoDB Local keeps tables apart by it, so it never changes."""


class EndpointRefused(Exception):
    """The endpoint that the caller set is not on loopback."""


def dynamodb_endpoint(environ: Mapping[str, str]) -> str:
    """Return the caller's own DynamoDB endpoint, "" for none. Raises EndpointRefused if it is not on loopback."""
    for name in ("AWS_ENDPOINT_URL_DYNAMODB", "AWS_ENDPOINT_URL"):
        url = environ.get(name, "")
        if url:
            if urlsplit(url).scheme != "http" or urlsplit(url).hostname not in _LOOPBACK:
                raise EndpointRefused(f"{name} is {url}: headgate local only allows http on loopback")
            return url
    return ""


class AwsFailed(Exception):
    """The local DynamoDB and KMS could not be set up."""


class LocalAws:
    """The moto child process. Its address is known before it runs: connections wait in the socket's queue.

    `credentials` are an access key id and its secret, made for this run: moto answers only what they signed.
    """

    def __init__(self, own_dynamodb: str) -> None:
        self._own_dynamodb = own_dynamodb
        self.credentials = KEY_ID, token_urlsafe(30)
        self._listener = listen(0)
        self.url = url_of(self._listener)
        self._process: asyncio.subprocess.Process | None = None

    @property
    def dynamodb(self) -> str:
        """The endpoint of DynamoDB."""
        return self._own_dynamodb or self.url

    @property
    def endpoints(self) -> dict[str, str]:
        """The environment variables that point botocore here."""
        found = {"AWS_ENDPOINT_URL": self.url}
        if self._own_dynamodb:
            found["AWS_ENDPOINT_URL_DYNAMODB"] = self._own_dynamodb
        return found

    async def start(self) -> None:
        """Start the child, which loads moto while it waits for its order."""
        key_id, secret = self.credentials
        self._process = await asyncio.create_subprocess_exec(
            *interpreter(MOTO_SERVER),
            str(self._listener.fileno()),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            pass_fds=[self._listener.fileno()],
            env={
                "PYTHONPATH": os.pathsep.join((*library_folders(), str(PACKAGES))),
                "PATH": os.environ.get("PATH", os.defpath),
                "AWS_ACCESS_KEY_ID": key_id,
                "AWS_SECRET_ACCESS_KEY": secret,
                "AWS_CONFIG_FILE": os.devnull,
                "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
                "AWS_EC2_METADATA_DISABLED": "true",
                "MOTO_ACCOUNT_ID": ACCOUNT_ID,
            },
            start_new_session=True,
        )
        self._listener.close()

    async def create(self, template: Template, secrets: Sequence[Mapping[str, str]], others: Mapping[str, str]) -> None:
        """Create the template's tables and keys, and secrets (`arn`, `text`), and wait for them. Raises AwsFailed.

        `others` are more access keys that moto answers, by id.
        """
        assert self._process is not None and self._process.stdin and self._process.stdout  # noqa: S101, PT018
        order = {
            "account": ACCOUNT_ID,
            "region": REGION,
            "dynamodb": self._own_dynamodb,
            "signers": {**others, self.credentials[0]: self.credentials[1]},
            "secrets": list(secrets),
            "keys": [{"id": key.key_id, "spec": key.spec, "usage": key.usage} for key in template.keys],
            "tables": [
                {"name": table.name, "definition": table.definition, "ttl": table.ttl_attribute}
                for table in template.tables
            ],
        }
        self._process.stdin.write(json.dumps(order).encode() + b"\n")
        if await self._process.stdout.readline() != b"ready\n":
            hint = "; unset AWS_ENDPOINT_URL_DYNAMODB and AWS_ENDPOINT_URL to start one" if self._own_dynamodb else ""
            raise AwsFailed(f"the tables and keys could not be created (DynamoDB at {self.dynamodb}){hint}")

    async def stop(self) -> None:
        """Kill the child."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()
