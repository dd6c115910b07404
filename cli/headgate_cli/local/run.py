"""Starts and stops the local stack: the parts, their order, their addresses.

Everything slow starts first and in parallel: moto and the functions load in child processes while the runner loads its
server. All addresses are known before anything answers, so that no part waits for another. It must not know what a
flag is.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from secrets import token_urlsafe
from typing import Any

from headgate_cli.local.addresses import LOOPBACK, listen, port_of, url_of
from headgate_cli.local.aws import AwsFailed, LocalAws, dynamodb_endpoint
from headgate_cli.local.declared import REGION, Template
from headgate_cli.local.old_tokens import OldTokens
from headgate_cli.local.principals import Principal, make_principals
from headgate_cli.local.runtime import Environment
from headgate_cli.local.template import load_template
from headgate_cli.local.variables import runtime_variables
from headgate_cli.manifest_file import read_manifest

START_LIMIT = 60.0
"""The most seconds that a start may take."""

AUDIENCE = "headgate-local"
"""The audience of the dev identity provider's tokens."""

ATTRIBUTES = ("plan", "tier", "role", "team", "country", "region", "email", "version", "beta")
"""Claims of the dev identity provider's tokens that become attributes of the subject."""


class StartFailed(Exception):
    """The local stack could not start. The text is shown to the user."""


@dataclass(frozen=True, slots=True)
class Options:
    """The options of `headgate local`.

    `template` is the gate's, `apps` are those of the services behind it. Without a `manifest`, only admins are let in.
    `empty` leaves out its flags; `parent` is the process whose end stops the stack; `began` is a monotonic time.
    """

    template: Path
    apps: Sequence[Path]
    manifest: Path | None
    old_tokens: OldTokens | None = None
    empty: bool = False
    port: int = 3000
    idp_port: int = 3001
    logs: Path | None = None
    parent: int | None = None
    began: float = 0.0


@dataclass(frozen=True, slots=True)
class Ready:
    """What a client needs to know about a running stack.

    `control` emulates AWS Lambda's own API. `dynamodb` is the endpoint of DynamoDB, and `table` the gate's table.
    """

    api: str
    idp: str
    audience: str
    principals: Mapping[str, Principal]
    seconds: float
    control: str
    dynamodb: str
    table: str

    def document(self) -> dict[str, Any]:
        """Return the ready line of `--ready-json`."""
        return {
            "api": self.api,
            "idp": self.idp,
            "console": None,
            "page": f"{self.idp}/",
            "control": self.control,
            "dynamodb": self.dynamodb,
            "table": self.table,
            "region": REGION,
            **{name: principal.credentials for name, principal in self.principals.items()},
            "issuer": self.api,
            "audience": self.audience,
        }


async def run_local(options: Options, announce: Callable[[Ready], None]) -> None:
    """Start everything, call `announce` once everything answers, and run until SIGTERM or SIGINT.

    Raises StartFailed, TemplateError, EndpointRefused, Failure (invalid manifest).
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    with _log_to(options.logs) as log:
        stack = LocalStack(options, log)
        stopping = asyncio.create_task(stop.wait())
        watching = asyncio.create_task(_watch_parent(options.parent, stop))
        starting = asyncio.create_task(asyncio.wait_for(stack.start(), START_LIMIT))
        try:
            await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if starting.done():
                announce(_started(starting))
                await stopping
        finally:
            for task in (starting, stopping, watching):
                task.cancel()
            await asyncio.gather(starting, stopping, watching, return_exceptions=True)
            await stack.stop()


async def _watch_parent(parent: int | None, stop: asyncio.Event) -> None:
    """Set `stop` once the parent process is gone, so that a killed test leaves no stack behind."""
    while parent is not None and os.getppid() == parent:
        await asyncio.sleep(0.5)
    if parent is not None:
        stop.set()


class LocalStack:
    """The running parts."""

    def __init__(self, options: Options, log: Callable[[str, str], None]) -> None:
        self._options = options
        self._log = log
        self._aws = LocalAws(dynamodb_endpoint(os.environ))
        self._api = _listen(options.port)
        self._idp = _listen(options.idp_port)
        self._control = _listen(0)
        self._secret = token_urlsafe(30)  # of the Runtime API
        self._environments: dict[str, Environment] = {}
        self._server: Any = None

    async def start(self) -> Ready:
        """Start everything. Raises StartFailed."""
        await self._aws.start()
        api, idp = url_of(self._api), url_of(self._idp)
        old = self._options.old_tokens
        given = {**_parameters(api, idp), **(old.parameters if old else {})}
        template = load_template(self._options.template, given, self._options.apps)
        principals = make_principals(template.policies)
        admin = principals["admin"]
        signers = {admin.access_key_id: admin.secret_access_key}
        creating = asyncio.create_task(self._aws.create(template, [old.stored] if old else [], signers))
        try:
            ports = await self._start_functions(template)
            id_token = await self._serve(template, ports, principals)
            manifest = read_manifest(self._options.manifest) if self._options.manifest else None
            await self._all_ready(creating)
        finally:
            creating.cancel()
            await asyncio.gather(creating, return_exceptions=True)
        if manifest and self._options.empty:
            manifest = {**manifest, "flags": []}
        await self._seed(api, admin, id_token, manifest, template.guarded_reads())
        return Ready(
            api=api,
            idp=idp,
            audience=str(template.parameters["Audience"]),
            principals=principals,
            seconds=time.monotonic() - self._options.began,
            control=url_of(self._control),
            dynamodb=self._aws.dynamodb,
            table=template.tables[0].name if template.tables else "",
        )

    async def stop(self) -> None:
        """Stop everything, including all child processes."""
        await asyncio.gather(*(environment.stop() for environment in self._environments.values()))
        if self._server is not None:
            await self._server.stop()
        await self._aws.stop()

    async def _start_functions(self, template: Template) -> dict[int, tuple[socket.socket, Environment]]:
        ports: dict[int, tuple[socket.socket, Environment]] = {}
        for name, function in template.functions.items():
            listener = _listen(0)
            port = port_of(listener)
            variables = runtime_variables(
                function,
                api=f"{LOOPBACK}:{port}/{self._secret}",
                endpoints=self._aws.endpoints,
                credentials=self._aws.credentials,
            )
            self._environments[name] = environment = Environment(function, variables, self._log)
            ports[port] = (listener, environment)
            await environment.start()
        return ports

    async def _serve(
        self,
        template: Template,
        ports: Mapping[int, tuple[socket.socket, Environment]],
        principals: Mapping[str, Principal],
    ) -> str:
        # imported while the children load: saves a third of a second
        from headgate_cli.local.control import Control
        from headgate_cli.local.gateway import Gateway
        from headgate_cli.local.identity import IdentityProvider
        from headgate_cli.local.runtime_api import RuntimeApi
        from headgate_cli.local.serving import LocalServer

        provider = IdentityProvider(url_of(self._idp), AUDIENCE, url_of(self._api), *template.guarded_reads()[:1])
        runtime = RuntimeApi({port: environment for port, (_, environment) in ports.items()}, self._secret)
        domain = url_of(self._api).removeprefix("http://")
        applications: dict[int, Any] = dict.fromkeys(ports, runtime)
        applications[port_of(self._idp)] = provider.app
        applications[port_of(self._api)] = Gateway(template, self._environments, principals, domain)
        applications[port_of(self._control)] = Control(template, self._environments, principals)
        listeners = [self._api, self._idp, self._control, *(listener for listener, _ in ports.values())]
        self._server = LocalServer(listeners, applications)
        await self._server.start()
        return provider.id_token({"sub": "headgate-local", "admin": True})

    async def _all_ready(self, creating: asyncio.Task[None]) -> None:
        try:
            await asyncio.gather(creating, *(environment.ready.wait() for environment in self._environments.values()))
        except AwsFailed as error:
            raise StartFailed(str(error)) from error
        for name, environment in self._environments.items():
            if environment.init_error:
                raise StartFailed(f"{name} did not start: {environment.init_error}")

    async def _seed(
        self,
        api: str,
        admin: Principal,
        id_token: str,
        manifest: Mapping[str, Any] | None,
        guarded_reads: Sequence[str],
    ) -> None:
        from headgate_cli.local.seeding import LocalClient, SeedFailed, apply_manifest, warm

        caller = LocalClient(api)
        try:
            _, told = await asyncio.gather(
                asyncio.to_thread(apply_manifest, caller, admin, manifest),
                asyncio.to_thread(warm, caller, admin, id_token, guarded_reads),
            )
        except (SeedFailed, OSError) as error:
            raise StartFailed(str(error)) from error
        for line in told if manifest is not None else [*told, "there is no manifest: only admins are let in"]:
            self._log("headgate local", line)


def _started(starting: asyncio.Task[Ready]) -> Ready:
    try:
        return starting.result()
    except TimeoutError:
        raise StartFailed(f"not everything answered within {START_LIMIT:.0f} s") from None


def _parameters(api: str, idp: str) -> dict[str, str]:
    issuer = {
        "issuer": idp,
        "audience": [AUDIENCE],
        "algorithms": ["ES256"],
        "max_age": 7200,
        "claims": {"user": "sub", "orgs": "orgs", "admin": "admin", "attributes": list(ATTRIBUTES)},
    }
    page = f"{idp},{idp.replace(LOOPBACK, 'localhost')}"
    return {"Issuer": api, "IdentityIssuers": json.dumps([issuer]), "CorsOrigins": page}


def _listen(port: int) -> socket.socket:
    try:
        return listen(port)
    except OSError as error:
        raise StartFailed(f"port {port} on 127.0.0.1 cannot be opened: {error.strerror}") from error


@contextlib.contextmanager
def _log_to(path: Path | None) -> Any:
    """Yield a function that logs a line of a function's output to a file or stderr, prefixed with its name."""
    with contextlib.ExitStack() as stack:
        try:
            stream = stack.enter_context(path.open("a", buffering=1)) if path else sys.stderr
        except OSError as error:
            raise StartFailed(f"cannot write {path}: {error.strerror}") from None

        def log(name: str, line: str) -> None:
            stream.write(f"[{name}] {line}\n")

        yield log
