"""Emulates the calls of AWS Lambda's and CloudFormation's APIs that `headgate emergency` uses.

A function's variables can be read and changed, a version published, an alias moved, and a function found by its stack.
Each call must be signed by a principal whose policies allow it. A change is in progress until the function's new
environment asks for work. Differences from AWS: one alias per function, no code, no weights, no throttling; the only
versions are those published since the start.
Source: AWS Lambda API reference; AWS CloudFormation API reference, `DescribeStackResource`.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, unquote
from xml.sax.saxutils import escape

from headgate_cli.local.declared import REGION, STACK_ID, STACK_NAME, Template, local_arn
from headgate_cli.local.iam import is_allowed
from headgate_cli.local.principals import Principal
from headgate_cli.local.runtime import Environment
from headgate_cli.local.sigv4 import Signable, SignatureRefused, verify_signature
from headgate_cli.local.template import LATEST
from headgate_cli.local.wire import Receive, Scope, Send, is_for_loopback, read_body, send_response

_MAX_BODY = 1_000_000
_FUNCTION = re.compile(r"/2015-03-31/functions/([^/]+)/(configuration|versions|aliases)(?:/([^/]+))?")
_ARN = local_arn("lambda", "function:")

_Document = dict[str, Any]


class _Refused(Exception):
    """The error that a call is answered with: status, code, and text."""

    def __init__(self, status: int, code: str, text: str) -> None:
        super().__init__(text)
        self.status, self.code = status, code


@dataclass(slots=True)
class _Held:
    """One function's state in Lambda. `versions` are the variables of each version, from 1 on."""

    environment: Environment
    latest: Mapping[str, str]
    alias: _Document | None
    versions: list[Mapping[str, str]] = field(default_factory=list)
    revision: str = field(default_factory=lambda: str(uuid.uuid4()))

    def variables(self, version: str) -> Mapping[str, str]:
        """Return a version's variables. Raises `_Refused` if it does not exist."""
        if version == LATEST:
            return self.latest
        if not version.isdigit() or not 0 < int(version) <= len(self.versions):
            raise _Refused(404, "ResourceNotFoundException", f"there is no version {version}")
        return self.versions[int(version) - 1]

    def serve(self) -> None:
        """Renew the environment if the variables that should serve have changed."""
        wanted = self.variables(self.alias["FunctionVersion"] if self.alias else LATEST)
        if wanted != self.environment.function.environment:
            self.environment.renew(wanted)


class Control:
    """The ASGI application."""

    def __init__(
        self, template: Template, environments: Mapping[str, Environment], principals: Mapping[str, Principal]
    ) -> None:
        self._held = {
            name: _Held(environments[name], dict(function.environment), _alias(template.aliases.get(name)))
            for name, function in template.functions.items()
        }
        self._principals = {principal.access_key_id: principal for principal in principals.values()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not is_for_loopback(scope["headers"]):
            await send_response(send, 403, [], b"")
            return
        body = await read_body(receive, limit=_MAX_BODY) or b""
        headers = tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"])
        path, query = scope["raw_path"].decode("latin-1"), scope["query_string"].decode("latin-1")
        signable = Signable(scope["method"], path, query, headers, body)
        kind = "text/xml" if path == "/" else "application/json"
        status, code = 200, ""
        try:
            answer = self._stack(signable) if path == "/" else json.dumps(self._function(signable))
        except _Refused as refused:
            status, code, text = refused.status, refused.code, str(refused)
            if kind == "text/xml":
                answer = _xml({"Code": code, "Message": text}, "ErrorResponse", "Error")
            else:
                answer = json.dumps({"Type": "User", "Message": text})
        sent = [(b"content-type", kind.encode()), *([(b"x-amzn-errortype", code.encode())] if code else [])]
        await send_response(send, status, sent, answer.encode())

    def _check(self, request: Signable, service: str, action: str, resource: str) -> None:
        secrets = {key_id: principal.secret_access_key for key_id, principal in self._principals.items()}
        try:
            key_id = verify_signature(request, secrets, region=REGION, now=datetime.now(UTC), service=service)
        except SignatureRefused as refused:
            raise _Refused(403, "InvalidSignatureException", str(refused)) from None
        if not is_allowed(self._principals[key_id].statements, action, resource):
            raise _Refused(403, "AccessDeniedException", f"not authorized to perform {action} on {resource}")

    def _stack(self, request: Signable) -> str:
        """Return CloudFormation's answer."""
        self._check(request, "cloudformation", "cloudformation:DescribeStackResource", STACK_ID)
        form = {name: values[0] for name, values in parse_qs(request.body.decode("latin-1")).items()}
        name = form.get("LogicalResourceId", "")
        if (
            form.get("Action") != "DescribeStackResource"
            or form.get("StackName") != STACK_NAME
            or name not in self._held
        ):
            raise _Refused(400, "ValidationError", "there is no such resource")
        tags = ("DescribeStackResourceResponse", "DescribeStackResourceResult", "StackResourceDetail")
        return _xml({"PhysicalResourceId": name}, *tags)

    def _function(self, request: Signable) -> _Document:
        match = _FUNCTION.fullmatch(request.path)
        if match is None:
            raise _Refused(404, "UnknownOperationException", "this call is not emulated")
        name, what, alias = (unquote(part or "").removeprefix(_ARN) for part in match.groups())
        qualifier = parse_qs(request.query).get("Qualifier", [""])[0]
        calls: Mapping[tuple[str, str], tuple[str, Callable[[_Held, _Document], _Document]]] = {
            ("GET", "configuration"): (
                "GetFunctionConfiguration",
                lambda held, _: self._read(held, qualifier or LATEST),
            ),
            ("PUT", "configuration"): ("UpdateFunctionConfiguration", self._update),
            ("POST", "versions"): ("PublishVersion", self._publish),
            ("GET", "aliases"): ("GetAlias", lambda held, _: self._alias_of(held, alias)),
            ("PUT", "aliases"): ("UpdateAlias", lambda held, sent: self._move(held, alias, sent)),
        }
        if (request.method, what) not in calls:
            raise _Refused(404, "UnknownOperationException", "this call is not emulated")
        action, act = calls[request.method, what]
        resource = _ARN + name + (f":{qualifier}" if qualifier else "")
        self._check(request, "lambda", f"lambda:{action}", resource)
        if name not in self._held:
            raise _Refused(404, "ResourceNotFoundException", f"Function not found: {resource}")
        return act(self._held[name], json.loads(request.body) if request.body else {})

    def _read(self, held: _Held, version: str) -> _Document:
        name, updating = held.environment.function.logical_id, not held.environment.ready.is_set()
        return {
            "FunctionName": name,
            "FunctionArn": _ARN + name + ("" if version == LATEST else f":{version}"),
            "Version": version,
            "RevisionId": held.revision,
            "Environment": {"Variables": dict(held.variables(version))},
            "State": "Active",
            "LastUpdateStatus": "InProgress" if updating else "Successful",
        }

    def _update(self, held: _Held, sent: _Document) -> _Document:
        _guard(held, sent)
        if not held.environment.ready.is_set():
            raise _Refused(409, "ResourceConflictException", "an update is in progress")
        held.latest, held.revision = dict(sent["Environment"]["Variables"]), str(uuid.uuid4())
        held.serve()
        return self._read(held, LATEST)

    def _publish(self, held: _Held, sent: _Document) -> _Document:
        _guard(held, sent)
        if not held.versions or held.versions[-1] != held.latest:
            held.versions.append(held.latest)
        return self._read(held, str(len(held.versions)))

    def _alias_of(self, held: _Held, name: str) -> _Document:
        if held.alias is None or held.alias["Name"] != name:
            raise _Refused(404, "ResourceNotFoundException", f"there is no alias {name}")
        return held.alias

    def _move(self, held: _Held, name: str, sent: _Document) -> _Document:
        alias = self._alias_of(held, name)
        held.variables(sent["FunctionVersion"])
        alias.update({member: sent[member] for member in ("FunctionVersion", "Description") if member in sent})
        held.serve()
        return alias


def _alias(name: str | None) -> _Document | None:
    return None if name is None else {"Name": name, "FunctionVersion": LATEST, "Description": ""}


def _xml(members: Mapping[str, str], *tags: str) -> str:
    """Return members as XML inside `tags`, the outermost first."""
    text = "".join(f"<{name}>{escape(value)}</{name}>" for name, value in members.items())
    return "".join(f"<{tag}>" for tag in tags) + text + "".join(f"</{tag}>" for tag in reversed(tags))


def _guard(held: _Held, sent: _Document) -> None:
    if sent.get("RevisionId", held.revision) != held.revision:
        raise _Refused(412, "PreconditionFailedException", "the RevisionId does not match")
