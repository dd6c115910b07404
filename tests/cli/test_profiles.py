"""Signing credentials from AWS config files: an assumed role, a credential process, single sign-on."""

import hashlib
import json
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest
from botocore.credentials import ReadOnlyCredentials
from moto.core import DEFAULT_ACCOUNT_ID
from moto.sts.models import sts_backends

SHOW = ("flags", "show", "gastown-access", "--profile", "ops")
READ = "GET /admin/v1/flags/gastown-access"
REGION = "eu-central-1"
ROLE = f"arn:aws:iam::{DEFAULT_ACCOUNT_ID}:role/operator"
ISSUED = ReadOnlyCredentials("ASIATEMPORARY000", "a-secret-for-an-hour", "a-session-token")
Run = Callable[..., Any]
Env = Callable[..., dict[str, str]]


def assumed(key_id: str) -> ReadOnlyCredentials | None:
    """The credentials that moto's token service issued."""
    role = sts_backends[DEFAULT_ACCOUNT_ID]["aws"].get_assumed_role_from_access_key(key_id)
    return role and ReadOnlyCredentials(role.access_key_id, role.secret_access_key, role.session_token)


def issued(key_id: str) -> ReadOnlyCredentials | None:
    return ISSUED if key_id == ISSUED.access_key else None


@pytest.fixture
def ops(tmp_path: Path) -> Env:
    """An environment that points to a config file, without credentials or a region of its own."""

    def env(profiles: str, **more: str) -> dict[str, str]:
        config = tmp_path / "config"
        config.write_text(profiles)
        unset = dict.fromkeys(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION"), "")
        return {**unset, "HOME": str(tmp_path), "AWS_CONFIG_FILE": str(config), **more}

    return env


def assume_role(more: str = "") -> str:
    return f"""
[profile base]
aws_access_key_id = AKIABASEBASEBASE
aws_secret_access_key = a-base-secret
[profile ops]
role_arn = {ROLE}
source_profile = base
region = {REGION}
{more}"""


def credential_process(tmp_path: Path, prints: str) -> str:
    script = tmp_path / "issue.py"
    script.write_text(f"print({prints!r})")
    return f"[profile ops]\ncredential_process = {sys.executable} {script}\nregion = {REGION}\n"


def single_sign_on(home: Path, expires: str) -> str:
    """The config file, and the token that `aws sso login` stores in the home folder."""
    cache = home / ".aws/sso/cache"
    cache.mkdir(parents=True)
    token = {
        "startUrl": "https://start.example.com",
        "region": REGION,
        "accessToken": "signed-in",
        "expiresAt": expires,
    }
    (cache / f"{hashlib.sha1(b'team').hexdigest()}.json").write_text(json.dumps(token))
    return f"""
[sso-session team]
sso_start_url = https://start.example.com
sso_region = {REGION}
[profile ops]
sso_session = team
sso_account_id = {DEFAULT_ACCOUNT_ID}
sso_role_name = operator
region = {REGION}
"""


def test_an_assumed_role_signs(headgate: Run, ops: Env, moto: str, upstream: Any, flag: Any, reply: Any) -> None:
    upstream.issued = assumed
    upstream.on(READ, reply(body=flag()))
    done = headgate(*SHOW, env=ops(assume_role("role_session_name = ann"), AWS_ENDPOINT_URL_STS=moto))
    assert done.returncode == 0, done.stderr
    (asked,) = upstream.asked
    role = sts_backends[DEFAULT_ACCOUNT_ID]["aws"].get_assumed_role_from_access_key(asked.signed_by)
    assert (role.role_arn, role.session_name) == (ROLE, "ann")


def test_a_credential_process_signs(
    headgate: Run, ops: Env, tmp_path: Path, upstream: Any, flag: Any, reply: Any
) -> None:
    upstream.issued = issued
    upstream.on(READ, reply(body=flag()))
    document = {"Version": 1, "AccessKeyId": ISSUED.access_key, "SecretAccessKey": ISSUED.secret_key,
                "SessionToken": ISSUED.token, "Expiration": "2100-01-01T00:00:00Z"}  # fmt: skip
    done = headgate(*SHOW, env=ops(credential_process(tmp_path, json.dumps(document))))
    assert done.returncode == 0, done.stderr
    assert upstream.asked[0].signed_by == ISSUED.access_key


def test_single_sign_on_signs(child: Run, ops: Env, tmp_path: Path, upstream: Any, flag: Any, reply: Any) -> None:
    upstream.issued = issued
    credentials = {"accessKeyId": ISSUED.access_key, "secretAccessKey": ISSUED.secret_key,
                   "sessionToken": ISSUED.token, "expiration": 4_102_444_800_000}  # fmt: skip
    upstream.on("GET /federation/credentials", reply(body={"roleCredentials": credentials}))
    upstream.on(READ, reply(body=flag()))
    done = child(*SHOW, env=ops(single_sign_on(tmp_path, "2100-01-01T00:00:00Z"), AWS_ENDPOINT_URL_SSO=upstream.url))
    assert done.returncode == 0, done.stderr
    portal, asked = upstream.asked
    assert portal.headers["x-amz-sso_bearer_token"] == "signed-in"
    assert asked.signed_by == ISSUED.access_key


def test_credentials_that_were_not_issued_are_forbidden(invoke: Run, ops: Env, tmp_path: Path, upstream: Any) -> None:
    upstream.issued = issued
    for changed in ({"SecretAccessKey": "another"}, {"SessionToken": "another"}):
        document = {"Version": 1, "AccessKeyId": ISSUED.access_key, "SecretAccessKey": ISSUED.secret_key,
                    "SessionToken": ISSUED.token, **changed}  # fmt: skip
        assert invoke(*SHOW, env=ops(credential_process(tmp_path, json.dumps(document)))).exit_code == 6
    assert [asked.signed_by for asked in upstream.asked] == [None, None]


def test_role_that_may_not_be_assumed_is_forbidden(invoke: Run, ops: Env, upstream: Any, reply: Any) -> None:
    error = "<Error><Code>AccessDenied</Code><Message>ann may not be operator</Message></Error>"
    upstream.on("POST /", reply(403, f"<ErrorResponse>{error}</ErrorResponse>".encode()))
    signed_out(invoke(*SHOW, env=ops(assume_role(), AWS_ENDPOINT_URL_STS=upstream.url)), "ann may not be operator")
    assert upstream.lines() == ["POST /"]


@pytest.mark.parametrize("prints", ["", "not JSON", "{}", '{"Version": 1}', '{"Version": 2}', '["a list"]', "7"])
def test_credential_process_without_credentials_is_forbidden(
    invoke: Run, ops: Env, tmp_path: Path, upstream: Any, prints: str
) -> None:
    signed_out(invoke(*SHOW, env=ops(credential_process(tmp_path, prints))))
    assert upstream.asked == []


def test_failing_credential_process_is_forbidden(invoke: Run, ops: Env, tmp_path: Path) -> None:
    (tmp_path / "fails").write_text("import sys; sys.exit('the vault is shut')")
    signed_out(
        invoke(*SHOW, env=ops(f"[profile ops]\ncredential_process = {sys.executable} {tmp_path}/fails")),
        "the vault is shut",
    )
    signed_out(invoke(*SHOW, env=ops(f"[profile ops]\ncredential_process = {tmp_path}/missing")), "missing")


def test_expired_single_sign_on_is_forbidden(child: Run, ops: Env, tmp_path: Path) -> None:
    signed_out(child(*SHOW, env=ops(single_sign_on(tmp_path, "2020-01-01T00:00:00Z"))), "Token has expired")


@pytest.mark.parametrize("profiles", ["[profile others]\nregion = eu-west-1\n", "no section\n"])
def test_unknown_profile_is_wrong_usage(invoke: Run, ops: Env, upstream: Any, profiles: str) -> None:
    done = invoke(*SHOW, env=ops(profiles))
    assert done.exit_code == 2
    assert "profile" in done.stderr or "config" in done.stderr
    assert upstream.asked == []


def signed_out(done: Any, *says: str) -> None:
    code = done.returncode if isinstance(done, CompletedProcess) else done.exit_code
    assert code == 6, done.stderr
    assert all(text in done.stderr for text in ("no AWS credentials", "--profile", *says)), done.stderr
