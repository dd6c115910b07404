"""Holds what a template declares, as frozen types: functions, routes, authorizers, CORS, tables, keys.

It must not know how a template is read or how any of it is run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

ACCOUNT_ID = "123456789012"
REGION = "us-east-1"
API_ID = "headgate"
STACK_NAME = "headgate-local"
NONE, AWS_IAM = "NONE", "AWS_IAM"


def local_arn(service: str, resource: str) -> str:
    """The ARN of a resource of the laptop's account."""
    return f"arn:aws:{service}:{REGION}:{ACCOUNT_ID}:{resource}"


STACK_ID = local_arn("cloudformation", f"stack/{STACK_NAME}/{UUID(int=0)}")


@dataclass(frozen=True, slots=True)
class Function:
    """A Lambda function: where its code lies, its environment variables and its timeout in seconds."""

    logical_id: str
    code_dir: Path
    handler: str
    environment: Mapping[str, str]
    timeout: int
    memory: int
    layers: tuple[Path, ...]

    @property
    def arn(self) -> str:
        return local_arn("lambda", f"function:{self.logical_id}")


@dataclass(frozen=True, slots=True)
class DeclaredRoute:
    """One declared route. `auth` is `NONE`, `AWS_IAM` or the name of an authorizer."""

    method: str
    path: str
    function: str
    auth: str

    @property
    def key(self) -> str:
        return f"{self.method} {self.path}"


@dataclass(frozen=True, slots=True)
class DeclaredAuthorizer:
    """A Lambda authorizer, payload 2.0 with simple responses. `ttl` is in seconds; 0 keeps nothing."""

    name: str
    function: str
    identity_sources: tuple[str, ...]
    ttl: int


@dataclass(frozen=True, slots=True)
class Cors:
    """The API's CORS configuration: when present, the gateway answers preflights and owns every CORS header."""

    allow_origins: tuple[str, ...]
    allow_methods: tuple[str, ...]
    allow_headers: tuple[str, ...]
    expose_headers: tuple[str, ...]
    max_age: int | None
    allow_credentials: bool


@dataclass(frozen=True, slots=True)
class DeclaredTable:
    """A DynamoDB table as CreateTable takes it, without stream, backup and protection."""

    logical_id: str
    name: str
    definition: Mapping[str, Any]
    ttl_attribute: str | None


@dataclass(frozen=True, slots=True)
class DeclaredKey:
    """A KMS key with the id that the laptop mode gives it."""

    logical_id: str
    key_id: str
    spec: str
    usage: str


@dataclass(frozen=True, slots=True)
class Template:
    """Everything of the template that the laptop mode serves. `aliases`: the function of each, and the alias's name."""

    functions: Mapping[str, Function]
    routes: tuple[DeclaredRoute, ...]
    authorizers: Mapping[str, DeclaredAuthorizer]
    cors: Cors | None
    tables: tuple[DeclaredTable, ...]
    keys: tuple[DeclaredKey, ...]
    policies: Mapping[str, Mapping[str, Any]]
    parameters: Mapping[str, Any]
    aliases: Mapping[str, str] = field(default_factory=dict)

    def guarded_reads(self) -> tuple[str, ...]:
        """For each function behind an authorizer, the path of its first GET route without parameters."""
        reads: dict[str, str] = {}
        for route in self.routes:
            if route.method == "GET" and route.auth in self.authorizers and "{" not in route.path:
                reads.setdefault(route.function, route.path)
        return tuple(reads.values())
