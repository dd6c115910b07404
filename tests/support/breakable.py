"""A stack whose DynamoDB can be broken: a proxy stands in front of it, and the worker needs none of it."""

import contextlib
import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from exact_http import ExactHttp
from moto_child import running_dynamodb
from running_gate import Gate
from tcp_proxy import FaultyProxy

from headgate_cli.local.stack import Stack, running_stack
from headgate_cli.project import EXAMPLE

ROOT = Path(__file__).parents[2]
OPEN = ("gastown-access", "gastown-pr-merge", "gastown-multi-rig")


@dataclass(frozen=True, slots=True)
class Breakable:
    """A running stack, a client of it, and the proxy between its functions and DynamoDB."""

    stack: Stack
    gate: Gate
    proxy: FaultyProxy
    manifest: dict[str, Any]

    def set_max_stale(self, seconds: int) -> None:
        """The hard bound on staleness, by a manifest that names nothing else."""
        profile = {name: self.manifest[name] for name in ("access", "token")}
        body = {**profile, "max_stale": seconds, "reason": "a test"}
        self.gate.change("POST", "/admin/v1/manifest", body).expect(200)


@contextlib.contextmanager
def breakable_stack(folder: Path, *, max_stale: int) -> Iterator[Breakable]:
    """Start one; access and two sub-features are at GA. `folder` takes the project's files."""
    manifest = yaml.safe_load((ROOT / "examples/gastown/manifest.yaml").read_text())
    manifest["max_stale"] = max_stale
    for flag in manifest["flags"]:
        flag["stage"] = "ga" if flag["key"] in OPEN else "admin_only"
    (folder / "manifest.yaml").write_text(json.dumps(manifest))
    with running_dynamodb() as url, contextlib.closing(FaultyProxy(url)) as proxy:
        environment = {"AWS_ENDPOINT_URL_DYNAMODB": proxy.url}
        project = _project(folder)
        with running_stack(manifest=folder / "manifest.yaml", env=environment, project=project) as stack:
            yield Breakable(stack, Gate(stack.ready, ExactHttp()), proxy, manifest)


def _project(folder: Path) -> Path:
    """The project with another service on the example's routes."""
    project = folder / "project"
    app = project / EXAMPLE
    app.mkdir(parents=True)
    shutil.copy(ROOT / "template.yaml", project)
    for name in ("layers", "functions"):
        (project / name).symlink_to(ROOT / name)
    shutil.copy(ROOT / EXAMPLE / "template.yaml", app)
    (app / "app.py").symlink_to(Path(__file__).with_name("echo_worker") / "app.py")
    return project
