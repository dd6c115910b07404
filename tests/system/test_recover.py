"""docs/recover.md, step by step: a table is lost, an older copy of it is put into use, and no refusal is forgotten.

The functions get the other table as a deployment with `ExistingTable` gives it to them: their variables change and new
environments start. API, keys, and identity provider stay, so only the table decides about old tokens.
"""

import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import pytest
from command_line import run_here
from refusals import Look, beating, evaluating, is_refused, observing, starting
from running_gate import Gate, Person, until
from running_gate.gate import ACCESS_TOKEN, ID_TOKEN
from stand import KEYS

from headgate.store.items import HEAD_KEY
from headgate_cli.local.declared import REGION
from headgate_cli.local.stack import Stack, running_stack
from headgate_cli.local.template import load_template
from headgate_cli.project import EXAMPLE

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/recover.md").read_text(encoding="utf-8")
ACCESS, SUB, OTHER = "gastown-access", "gastown-convoys", "gastown-molecules"
NEW = "headgate-restored"
SWITCHED = ("HEADGATE_TABLE", "HEADGATE_HOME")
DEPLOYER = "lambda:UpdateFunctionConfiguration\n            Resource: ["


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project, where the emergency role may change every function: it stands in for CloudFormation."""
    folder = tmp_path_factory.mktemp("project")
    for name in ("layers", "functions", "examples"):
        (folder / name).symlink_to(ROOT / name)
    text = (ROOT / "template.yaml").read_text()
    assert DEPLOYER in text
    more = "!GetAtt AdminFunction.Arn, !GetAtt KillFunction.Arn, "
    text = text.replace(DEPLOYER, DEPLOYER + more).replace(
        "Action: [lambda:GetFunctionConfiguration, lambda:GetAlias]\n            Resource:\n",
        f"Action: [lambda:GetFunctionConfiguration, lambda:GetAlias]\n            Resource:\n{_listed(more)}",
    )
    (folder / "template.yaml").write_text(text)
    return folder


def _listed(more: str) -> str:
    return "".join(f"              - {one}\n" for one in more.split(", ") if one)


@dataclass
class Site:
    """A running stack, its files of exports and checkpoints, and its tables."""

    stack: Stack
    folder: Path
    project: Path
    saved: list[Mapping[str, Any]] = field(default_factory=list)

    @property
    def files(self) -> dict[str, str]:
        return {"LOG": str(self.folder / "audit.jsonl"), "HEADS": str(self.folder / "heads.jsonl"), "NEW_NAME": NEW}

    def aws(self, service: str, role: str = "admin") -> Any:
        keys, ready = self.stack.ready[role], self.stack.ready
        return boto3.client(
            service, region_name=REGION, aws_access_key_id=keys["access_key_id"],
            aws_secret_access_key=keys["secret_access_key"],
            endpoint_url=ready["dynamodb" if service == "dynamodb" else "control"],
        )  # fmt: skip

    def back_up(self) -> None:
        """Keep every item of the table as of now."""
        pages = self.aws("dynamodb").get_paginator("scan").paginate(TableName=self.stack.ready["table"])
        self.saved = [item for page in pages for item in page["Items"]]

    def restore(self) -> None:
        """Make a new table from the backup, as DynamoDB does."""
        api = self.aws("dynamodb")
        api.create_table(TableName=NEW, **KEYS)
        for item in self.saved:
            api.put_item(TableName=NEW, Item=item)

    def deploy(self, table: str) -> None:
        """Give every function the variables that the template has with `ExistingTable`."""
        wanted = load_template(self.project / "template.yaml", {"ExistingTable": table}).functions
        api = self.aws("lambda", "emergency")
        for name, function in wanted.items():
            if name == "WorkerFunction":
                continue
            held = api.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
            changed = {**held, **{variable: function.environment[variable] for variable in SWITCHED}}
            api.update_function_configuration(FunctionName=name, Environment={"Variables": changed})

    def types(self, line: str) -> Any:
        """Run a line of the page."""
        keys = self.stack.ready["admin"]
        environment = {
            "HEADGATE_API": self.stack.api, "AWS_REGION": REGION, "AWS_ACCESS_KEY_ID": keys["access_key_id"],
            "AWS_SECRET_ACCESS_KEY": keys["secret_access_key"],
            "AWS_ENDPOINT_URL_DYNAMODB": self.stack.ready["dynamodb"], "PATH": "",
        }  # fmt: skip
        filled = re.sub(r"\$([A-Z_]+)", lambda name: self.files[name[1]], line)
        return run_here(shlex.split(filled)[1:], environment)


def step(title: str) -> list[str]:
    """The headgate lines of a part of the page."""
    part = PAGE.partition(title)[2]
    part = re.split(r"^(?:## |\*\*\d\.)", part, maxsplit=1, flags=re.MULTILINE)[0]
    return re.findall(r"^(headgate .*)$", part, re.MULTILINE) or re.findall(r"`(headgate [^`]*)`", part)


@pytest.fixture(scope="module")
def site(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    manifest = ROOT / EXAMPLE / "manifest.yaml"
    with running_stack(project=project, manifest=manifest) as stack:
        yield Site(stack, tmp_path_factory.mktemp("kept"), project)


def test_a89_a_restored_table_opens_only_with_what_it_had_forgotten(site: Site) -> None:
    gate, alice, bob, root = Gate(site.stack.ready), Person(), Person(), Person(admin=True)
    for key in (ACCESS, SUB, OTHER):
        gate.stage(key, "ga")
    identities = {person: gate.id_token(person) for person in (alice, bob, root)}
    tokens = {person: gate.access_token(person) for person in (alice, bob, root)}
    town = gate.town(bob, tokens[bob])
    session, evaluation = gate.session_token(tokens[bob], f"town:{town}"), gate.evaluation_token(bob)
    gate.settled()
    olds: dict[str, Look] = {
        "enter": starting(gate, bob, tokens[bob]), "observe": observing(gate, tokens[bob]),
        "machine": beating(gate, town, session), "evaluate": evaluating(gate, evaluation),
    }  # fmt: skip
    for look in olds.values():
        assert look().status in (200, 201)
    site.back_up()

    restored = gate.revision()
    gate.kill(SUB)
    gate.kill(OTHER)
    gate.restore(OTHER)
    gate.change("POST", "/admin/v1/revocations", {"subject": alice.user, "reason": "left"}).expect(201)
    (live,) = gate.signed("GET", "/admin/v1/sessions").expect(200).json["sessions"]
    gate.change("DELETE", f"/admin/v1/sessions/{live['id']}", {"reason": "stop"}).expect(204)
    for line in step("## Before anything happens"):
        assert site.types(line).returncode == 0
    highest = gate.revision()

    site.restore()
    (offline,) = (line for line in step("**2. Read it before") if "--table" in line)
    assert site.types(offline).returncode == 0
    site.deploy(NEW)

    # only admins, whoever holds which token, and whatever is changed meanwhile
    assert gate.create_town(root, tokens[root]).status == 201
    gate.mint(root).expect(200)
    gate.create("new-flag", stage="ga")
    gate.kill(OTHER)
    gate.restore(OTHER)
    for person in (alice, bob):
        gate.exchange(identities[person]).expect(403)
        gate.mint(person).expect(403)
    for name in ("enter", "observe", "machine"):
        assert is_refused(olds[name]()), name
    gate.session(session, f"town:{town}").expect(403)
    gate.session(identities[bob], f"town:{town}", ID_TOKEN).expect(403)
    assert not any(flag["value"] is True for flag in olds["evaluate"]().expect(200).json["flags"])
    health, _reconcile = step("**4. Look")
    assert "false" in next(line for line in site.types(health).stdout.splitlines() if line.startswith("confirmed"))
    assert gate.signed("GET", "/admin/v1/audit/reconcile").expect(200).json["consistent"] is True

    (confirm, verify) = step("**6. Confirm")
    gate.signed("POST", "/admin/v1/restored", {}, role="editor").expect(403)
    told = site.types(confirm)
    assert told.returncode == 0, told.stderr
    assert re.findall(r"^(\S+-lost) +(\S+)(?: \S+)? +\d+$", told.stdout, re.MULTILINE) == [
        ("kill-lost", SUB), ("revocation-lost", "subject"), ("revocation-lost", "session"),
    ]  # fmt: skip
    assert f"killed again: {SUB}\n" in told.stdout
    assert site.types(verify).returncode == 0

    begun, killed, confirmed = gate.audit(after=highest)
    assert [entry["action"] for entry in (begun, killed, confirmed)] == [
        "restore.begin",
        "flag.kill",
        "restore.confirm",
    ]
    assert begun["revision"] == highest + 1 > restored
    assert gate.signed("GET", "/admin/v1/audit/reconcile").expect(200).json["consistent"] is True
    assert gate.signed("GET", "/admin/v1/health").expect(200).json["confirmed"] is True

    # old tokens are refused, of identity providers too; new ones work
    for name in ("observe", "machine", "evaluate"):
        until(lambda look=olds[name]: is_refused(look()), within=8)
    for person in (alice, bob, root):
        assert is_refused(starting(gate, person, tokens[person])())
        gate.exchange(identities[person]).expect(400)
    for kind, token in ((ACCESS_TOKEN, tokens[bob]), (ACCESS_TOKEN, session), (ID_TOKEN, identities[bob])):
        gate.session(token, f"town:{town}", kind).expect(400)
    until(lambda: gate.mint(bob), lambda answer: answer.status == 200, within=4)
    token = gate.access_token(bob)
    starting(gate, bob, token)().expect(201)
    beating(gate, town, gate.session_token(token, f"town:{town}"))().expect(200)
    assert gate.settled() == confirmed["revision"]
    values = {flag["key"]: flag["value"] for flag in evaluating(gate, gate.evaluation_token(bob))().json["flags"]}
    assert (values[ACCESS], values[SUB], values[OTHER]) == (True, False, True)
    place = {"pk": {"S": HEAD_KEY[0]}, "sk": {"S": HEAD_KEY[1]}}
    head = site.aws("dynamodb").get_item(TableName=NEW, Key=place)
    assert head["Item"]["home"]["S"].startswith(f"{NEW}@")
