"""A flag whose record cannot be read denies, and can still be killed, severed, and replaced: rows E67, E70, and A88."""

import json
from collections.abc import Iterator
from typing import Any

import botocore.session
import pytest
from breakable import Breakable, breakable_stack
from killing import ACCESS, kill, restore
from moto_child import CREDENTIALS
from running_gate import Gate, Person, until
from running_gate.gate import SETTLED_WITHIN

from headgate_cli.local.declared import REGION, STACK_NAME

HURT: tuple[tuple[str, Any], ...] = (
    ("a stage that is none", {"stage": 7}),
    ("a blank stage", {"stage": ""}),
    ("no salt", {"salt": None}),
    ("a member more", {"unheard_of": 1}),
    ("a list where an object belongs", {"allow": []}),
    ("no JSON", None),
)


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Breakable]:
    """A stack whose table the test can write to."""
    with breakable_stack(tmp_path_factory.mktemp("project"), max_stale=60) as running:
        yield running


@pytest.fixture(scope="module")
def table(broken: Breakable) -> Any:
    """DynamoDB, bypassing the functions."""
    key_id, secret = CREDENTIALS
    return botocore.session.get_session().create_client(
        "dynamodb", REGION, endpoint_url=broken.proxy.url, aws_access_key_id=key_id, aws_secret_access_key=secret
    )


def corrupt(table: Any, gate: Gate, changed: dict[str, Any] | None) -> None:
    """Corrupt the stored access flag. No function reads it before the next change."""
    document = {name: value for name, value in gate.flag(ACCESS).items() if name not in ("added", "removed")}
    body = "{" if changed is None else json.dumps({**document, **changed})
    key = {"pk": {"S": "rules"}, "sk": {"S": f"flag#{ACCESS}"}}
    item = {**key, "version": {"N": str(document["version"])}, "body": {"S": body}}
    table.put_item(TableName=f"{STACK_NAME}-Table", Item=item)


@pytest.mark.parametrize("changed", [value for _, value in HURT], ids=[name for name, _ in HURT])
def test_unreadable_flag_can_be_killed_severed_and_replaced(
    broken: Breakable, table: Any, changed: dict[str, Any] | None
) -> None:
    """From the kill on, every environment reads the corrupt record. Admins pass. Replacing the flag repairs it."""
    gate, user, admin = broken.gate, Person(), Person(admin=True)
    mended = {"stage": "ga", "claim": "gastownAccess", "reason": "mended", "allow_shrink": True}
    token = until(lambda: gate.mint(user), lambda answer: answer.status == 200, within=SETTLED_WITHIN).json[
        "access_token"
    ]
    session = gate.session_token(token, "town:1")
    corrupt(table, gate, changed)

    first = kill(gate, ACCESS, reach="sever").json
    assert first["killed"]["reach"] == "sever"
    gate.mint(user).expect(403)
    gate.create_town(user, token).expect(403)
    gate.mint(admin).expect(200)
    until(lambda: beat(gate, session), lambda status: status == 403, within=SETTLED_WITHIN)
    assert kill(gate, ACCESS).json["killed"]["reach"] == "sever"  # reach only rises
    health = gate.signed("GET", "/admin/v1/health").expect(200).json
    assert (health["quarantined_flags"], health["killed_flags"]) == ([ACCESS], {ACCESS: "sever"})

    restore(gate)
    gate.mint(user).expect(403)  # an unreadable flag admits no non-admin
    gate.mint(admin).expect(200)
    version = int(gate.signed("GET", f"/admin/v1/flags/{ACCESS}").expect(200).headers["etag"].strip('"'))
    answer = gate.change("PUT", f"/admin/v1/flags/{ACCESS}", mended, version=version)
    if answer.status == 412:
        answer = gate.change("PUT", f"/admin/v1/flags/{ACCESS}", mended, version=int(answer.headers["etag"].strip('"')))
    answer.expect(200)
    gate.mint(user).expect(200)
    assert gate.signed("GET", "/admin/v1/health").json["quarantined_flags"] == []


def beat(gate: Gate, session: str) -> int:
    """A heartbeat's status."""
    return gate.call("POST", "/api/towns/1/agents/a/heartbeat", token=session, body={}).status
