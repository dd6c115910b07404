"""Reads what templates declare: functions, routes with their authorization, tables, keys, policies.

It reads the SAM source itself into frozen types, because the translator takes a second to start. It refuses whatever
it does not support: with a dropped or guessed route, the local gate would differ from the deployed one. A test compares
its routes with the SAM translator's. It must not know how a template is run.
Source: AWS SAM specification, `AWS::Serverless::Function`, `AWS::Serverless::HttpApi`.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any
from uuid import UUID

from headgate_cli.local.declared import (
    ACCOUNT_ID,
    API_ID,
    REGION,
    STACK_NAME,
    DeclaredKey,
    DeclaredRoute,
    DeclaredTable,
    Function,
    Template,
    local_arn,
)
from headgate_cli.local.intrinsics import Resolver, TemplateError, read_template
from headgate_cli.local.joining import join_templates
from headgate_cli.local.routes import Auth, read_auth, read_cors, read_route, refuse_twins, refuse_unread

_FUNCTION, _API = "AWS::Serverless::Function", "AWS::Serverless::HttpApi"
_TABLE, _KEY = "AWS::DynamoDB::Table", "AWS::KMS::Key"
_POLICY, _LAYER = "AWS::IAM::ManagedPolicy", "AWS::Serverless::LayerVersion"
_ALIAS, LATEST = "AWS::Lambda::Alias", "$LATEST"
_OTHER_APIS = ("AWS::ApiGatewayV2::", "AWS::ApiGateway::", "AWS::Serverless::Api", "AWS::Lambda::Url")
_FUNCTION_MEMBERS = ("CodeUri", "Handler", "Timeout", "MemorySize", "Environment", "PackageType")


def load_template(path: Path, parameters: Mapping[str, str], apps: Sequence[Path] = ()) -> Template:
    """Read and resolve the gate's SAM template and those of the services behind it, as one API.

    `parameters` override the gate's defaults. An app's parameters get the values of the gate's outputs of the same
    names. Raises TemplateError, with the resource's name, for whatever is not supported.
    """
    gate = _Reader(path, read_template(path), STACK_NAME, parameters)
    whole = gate.read()
    for app in apps:
        data = read_template(app)
        given = gate.outputs(data.get("Parameters", {}))
        stack = f"{STACK_NAME}-{app.resolve().parent.name}"
        whole = join_templates(whole, _Reader(app, data, stack, given, gate.layers()).read())
    return whole


class _Reader:
    """Reads one template and gives its resources local ids. `layers` are another stack's, by ARN."""

    def __init__(
        self,
        path: Path,
        data: dict[str, Any],
        stack: str,
        parameters: Mapping[str, str],
        layers: Mapping[str, Path] = MappingProxyType({}),
    ) -> None:
        self._root = path.resolve().parent
        self._data, self._stack, self._foreign_layers = data, stack, layers
        self._resources: dict[str, dict[str, Any]] = self._data["Resources"]
        self._globals = self._data.get("Globals", {})
        self._ids: dict[str, str] = {}
        pseudo = {
            "AWS::Region": REGION,
            "AWS::AccountId": ACCOUNT_ID,
            "AWS::Partition": "aws",
            "AWS::URLSuffix": "amazonaws.com",
            "AWS::StackName": stack,
            "AWS::StackId": local_arn("cloudformation", f"stack/{stack}/{UUID(int=0)}"),
        }
        self._resolver = Resolver(
            self._data, parameters=parameters, pseudo=pseudo, ref=self._ref, attribute=self._attribute
        )

    def read(self) -> Template:
        for logical_id, resource in self._resources.items():
            if not isinstance(resource, dict) or not isinstance(resource.get("Type"), str):
                raise TemplateError(f"{logical_id} is not a resource with a type")
            if resource["Type"].startswith(_OTHER_APIS):
                raise TemplateError(f"{logical_id}: routes are read only from one {_API} and its events")
        apis = list(self._of(_API))
        if len(apis) != 1:
            raise TemplateError(f"exactly one {_API} is required, {len(apis)} found")
        api = apis[0]
        refuse_unread(api, self._resources[api].get("Properties", {}))
        auth = read_auth(api, self._member(api, "HttpApi", "Auth", {}))
        functions = {name: self._function(name) for name in self._of(_FUNCTION)}
        routes = [route for name in functions for route in self._routes(name, auth)]
        refuse_twins(routes)
        return Template(
            functions=functions,
            routes=tuple(routes),
            authorizers=auth.authorizers,
            cors=read_cors(api, self._member(api, "HttpApi", "CorsConfiguration", None)),
            tables=tuple(self._table(name) for name in self._of(_TABLE)),
            keys=tuple(self._key(name) for name in self._of(_KEY)),
            policies={name: self._properties(name)["PolicyDocument"] for name in self._of(_POLICY)},
            parameters=self._resolver.parameters,
            aliases=dict(self._alias(name) for name in self._of(_ALIAS)),
        )

    def outputs(self, names: Iterable[str]) -> dict[str, str]:
        """Return the outputs with these names, if declared."""
        declared = self._data.get("Outputs", {})
        return {name: str(self._resolver.resolve(declared[name]["Value"])) for name in names if name in declared}

    def layers(self) -> dict[str, Path]:
        """Return the folder of each layer, by ARN."""
        own = {self._ref(name): self._root / str(self._properties(name, "ContentUri")["ContentUri"])
               for name in self._of(_LAYER)}  # fmt: skip
        return {**self._foreign_layers, **{arn: folder.resolve() for arn, folder in own.items()}}

    def _of(self, kind: str) -> Iterable[str]:
        for logical_id, resource in self._resources.items():
            if resource["Type"] == kind and self._exists(resource):
                yield logical_id

    def _exists(self, resource: Mapping[str, Any]) -> bool:
        return "Condition" not in resource or self._resolver.holds(resource["Condition"])

    def _properties(self, logical_id: str, *names: str) -> dict[str, Any]:
        """Return the resource's resolved properties, or only the named ones, so that the others need not resolve."""
        properties = self._resources[logical_id].get("Properties", {})
        wanted = {name: properties[name] for name in names if name in properties} if names else properties
        try:
            resolved = self._resolver.resolve(wanted)
        except TemplateError as error:
            raise TemplateError(f"{logical_id}: {error}") from error
        assert isinstance(resolved, dict)  # noqa: S101 - a mapping resolves to a mapping
        return resolved

    def _global(self, section: str, name: str, default: Any = None) -> Any:
        return self._resolver.resolve(self._globals.get(section, {}).get(name, default))

    def _member(self, logical_id: str, section: str, name: str, default: Any) -> Any:
        return self._properties(logical_id, name).get(name, self._global(section, name, default))

    # -- references to resources

    def _ref(self, name: str) -> str:
        base, _, member = name.partition(".")
        resource = self._resources.get(base)
        if resource is None or not self._exists(resource):
            raise TemplateError(f"{name} is not in the template")
        kind = resource["Type"]
        if kind == _FUNCTION and member in ("", "Alias", "Version"):
            return base if not member else local_arn("lambda", f"function:{base}")
        if kind == _ALIAS and not member:
            return local_arn("lambda", "function:" + ":".join(self._alias(base)))
        if member or kind not in (_TABLE, _KEY, _API, _POLICY, _LAYER):
            raise TemplateError(f"a reference to {name} ({kind}) cannot be resolved locally")
        return self._local_id(base, kind)

    def _local_id(self, logical_id: str, kind: str) -> str:
        if logical_id not in self._ids:
            self._ids[logical_id] = self._new_id(logical_id, kind)
        return self._ids[logical_id]

    def _new_id(self, logical_id: str, kind: str) -> str:
        if kind == _KEY:
            return str(uuid.uuid4())
        if kind == _API:
            return API_ID
        if kind == _TABLE:
            name = self._properties(logical_id, "TableName").get("TableName")
            return str(name or f"{self._stack}-{logical_id}")
        if kind == _POLICY:
            return f"arn:aws:iam::{ACCOUNT_ID}:policy/{self._stack}-{logical_id}"
        return local_arn("lambda", f"layer:{logical_id}:1")

    def _attribute(self, logical_id: str, attribute: str) -> str:
        kind = self._resources.get(logical_id, {}).get("Type")
        match kind, attribute:
            case "AWS::Serverless::Function", "Arn":
                return local_arn("lambda", f"function:{logical_id}")
            case "AWS::DynamoDB::Table", "Arn":
                return local_arn("dynamodb", f"table/{self._ref(logical_id)}")
            case "AWS::KMS::Key", "Arn":
                return local_arn("kms", f"key/{self._ref(logical_id)}")
            case "AWS::KMS::Key", "KeyId":
                return self._ref(logical_id)
        raise TemplateError(f"{logical_id}.{attribute} cannot be resolved locally")

    # -- functions and routes

    def _function(self, logical_id: str) -> Function:
        mine = self._properties(logical_id, *_FUNCTION_MEMBERS)
        if mine.get("PackageType", "Zip") != "Zip":
            raise TemplateError(f"{logical_id}: only zip packages are supported")

        def setting(name: str, default: Any = None) -> Any:
            return mine.get(name, self._global("Function", name, default))

        code_uri, handler = setting("CodeUri"), setting("Handler")
        if not isinstance(code_uri, str) or not isinstance(handler, str):
            raise TemplateError(f"{logical_id} needs a CodeUri (a folder) and a Handler")
        variables = {
            **self._global("Function", "Environment", {}).get("Variables", {}),
            **mine.get("Environment", {}).get("Variables", {}),
        }
        return Function(
            logical_id=logical_id,
            code_dir=(self._root / code_uri).resolve(),
            handler=handler,
            environment={name: str(value) for name, value in variables.items()},
            timeout=int(setting("Timeout", 3)),
            memory=int(setting("MemorySize", 128)),
            layers=self._layers(logical_id),
        )

    def _alias(self, logical_id: str) -> tuple[str, str]:
        """Return an alias's function and name. Only an alias of $LATEST is supported."""
        spec = self._properties(logical_id, "FunctionName", "FunctionVersion", "Name")
        if spec.get("FunctionVersion") != LATEST or spec.get("FunctionName") not in list(self._of(_FUNCTION)):
            raise TemplateError(f"{logical_id}: an alias must point to {LATEST} of a function in this template")
        return str(spec["FunctionName"]), str(spec["Name"])

    def _layers(self, logical_id: str) -> tuple[Path, ...]:
        own = self._resources[logical_id].get("Properties", {}).get("Layers", [])
        refs = [*self._globals.get("Function", {}).get("Layers", []), *own]
        known = self.layers()
        arns = [str(arn) for arn in self._resolver.resolve(refs)]
        for arn in arns:
            if arn not in known:
                raise TemplateError(f"{logical_id}: {arn} is not a layer in this template or the gate's")
        return tuple(dict.fromkeys(known[arn] for arn in arns))

    def _routes(self, logical_id: str, auth: Auth) -> Iterable[DeclaredRoute]:
        if "FunctionUrlConfig" in self._resources[logical_id].get("Properties", {}):
            raise TemplateError(f"{logical_id}: a function URL would bypass the gateway")
        for name, event in self._properties(logical_id, "Events").get("Events", {}).items():
            where = f"{logical_id}.{name}"
            if event.get("Type") != "HttpApi":
                raise TemplateError(f"{where}: events of type {event.get('Type')} are not supported")
            properties = event.get("Properties", {})
            if properties.get("ApiId") not in (None, API_ID):
                raise TemplateError(f"{where} belongs to another API")
            yield read_route(where, properties, logical_id, auth)

    # -- data

    def _table(self, logical_id: str) -> DeclaredTable:
        read = ("KeySchema", "AttributeDefinitions", "GlobalSecondaryIndexes", "LocalSecondaryIndexes")
        definition = self._properties(logical_id, *read)
        ttl = self._properties(logical_id, "TimeToLiveSpecification").get("TimeToLiveSpecification", {})
        return DeclaredTable(
            logical_id=logical_id,
            name=self._ref(logical_id),
            definition={**definition, "BillingMode": "PAY_PER_REQUEST"},
            ttl_attribute=ttl.get("AttributeName"),
        )

    def _key(self, logical_id: str) -> DeclaredKey:
        properties = self._properties(logical_id, "KeySpec", "KeyUsage")
        return DeclaredKey(
            logical_id=logical_id,
            key_id=self._ref(logical_id),
            spec=properties.get("KeySpec", "SYMMETRIC_DEFAULT"),
            usage=properties.get("KeyUsage", "ENCRYPT_DECRYPT"),
        )
