"""`headgate token`: which exchange it requests, and that only the token is printed."""

import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest

IDP, TOKEN = "POST /token", "POST /v1/token"
ID_TYPE = "urn:ietf:params:oauth:token-type:id_token"
ACCESS_TYPE = "urn:ietf:params:oauth:token-type:access_token"
SESSION_TYPE = "urn:headgate:params:oauth:token-type:session"


@pytest.fixture
def granted(upstream: Any, reply: Any) -> Any:
    upstream.on(IDP, reply(body={"id_token": "the-identity"}))
    upstream.on(TOKEN, reply(body={"access_token": "the-token", "expires_in": 300, "scope": "access"}))
    return upstream


def form(request: Any) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(request.body.decode(), keep_blank_values=True).items()}


def test_token_for_a_user_of_the_dev_provider(headgate: Any, granted: Any) -> None:
    args = ("token", "--sub", "alice", "--org", "o1", "--org", "o2", "--admin", "--claim", "plan=pro")
    done = headgate(*args, env={"HEADGATE_IDP": granted.url})
    assert done.stdout == "the-token\n"
    assert form(granted.asked[0]) == {"sub": "alice", "orgs": "o1,o2", "admin": "true", "plan": "pro"}
    assert form(granted.asked[1]) == {
        "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange", "subject_token": "the-identity",
        "subject_token_type": ID_TYPE,
    }  # fmt: skip
    assert "authorization" not in granted.asked[1].headers


def test_identity_token_from_file_stdin_or_environment(headgate: Any, granted: Any, tmp_path: Path) -> None:
    file = tmp_path / "id"
    file.write_text("from-file\n")
    headgate("token", "--identity-token", str(file))
    headgate("token", "--identity-token", "-", stdin="from-stdin\n")
    headgate("token", "--scope", "evaluate", env={"HEADGATE_IDENTITY_TOKEN": "from-env"})
    assert [form(request)["subject_token"] for request in granted.asked] == ["from-file", "from-stdin", "from-env"]
    assert form(granted.asked[2])["scope"] == "evaluate"


def test_only_a_service_token_needs_aws_credentials(headgate: Any, granted: Any, reply: Any) -> None:
    nobody = {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "HEADGATE_IDENTITY_TOKEN": "x"}
    assert headgate("token", env=nobody).returncode == 0
    assert headgate("token", "--scope", "service", env=nobody).returncode == 6
    granted.on("POST /v1/service-token", reply(body={"access_token": "service", "scope": "service"}))
    done = headgate("token", "--scope", "service", "--json")
    assert json.loads(done.stdout) == {"access_token": "service", "scope": "service"}
    assert granted.asked[-1].signed_by is not None
    assert granted.asked[-1].body == b""


def test_session_starts_with_an_access_token(headgate: Any, granted: Any, reply: Any) -> None:
    granted.on(TOKEN, reply(body={"access_token": "access"}), reply(body={"access_token": "session"}))
    done = headgate("token", "--sub", "alice", "--idp", granted.url, "--session", "town:1")
    assert done.stdout == "session\n"
    asked = form(granted.asked[2])
    assert asked["subject_token"] == "access"
    assert asked["subject_token_type"] == ACCESS_TYPE
    assert (asked["requested_token_type"], asked["session_id"]) == (SESSION_TYPE, "town:1")


def test_session_is_renewed_with_an_identity_token_after_access_is_lost(
    headgate: Any, granted: Any, reply: Any
) -> None:
    denied = reply(403, {"error": "access_denied", "error_description": "this subject does not have access"})
    granted.on(TOKEN, denied, reply(body={"access_token": "session"}))
    done = headgate("token", "--sub", "alice", "--idp", granted.url, "--session", "town:1")
    assert done.stdout == "session\n"
    assert form(granted.asked[2])["subject_token_type"] == ID_TYPE
    granted.on(TOKEN, denied)
    assert headgate("token", "--sub", "alice", "--idp", granted.url, "--session", "town:1").returncode == 6


def test_denial_is_forbidden_and_prints_no_token(headgate: Any, granted: Any, reply: Any) -> None:
    granted.on(TOKEN, reply(403, {"error": "access_denied", "error_description": "access is not open"}))
    done = headgate("token", "--sub", "bob", "--idp", granted.url)
    assert (done.returncode, done.stdout) == (6, "")
    assert done.stderr == "headgate: access_denied: access is not open (403)\n"


@pytest.mark.parametrize(
    "args",
    [
        (),
        ("--sub", "alice"),
        ("--org", "o1"),
        ("--admin",),
        ("--identity-token", "/nowhere"),
        ("--scope", "everything"),
        ("--session", "s", "--scope", "evaluate"),
        ("--sub", "alice", "--idp", "http://idp.example"),
    ],
)
def test_wrong_usage_sends_nothing(invoke: Any, upstream: Any, args: tuple[str, ...]) -> None:
    assert invoke("token", *args).exit_code == 2
    assert upstream.asked == []


@pytest.fixture
def explained(headgate: Any, admin_identity: tuple[str, str], tmp_path: Path) -> Any:
    """Explain the identity token of the provider on loopback, with an entry for it that is changed."""
    issuer, token = admin_identity
    file = tmp_path / "issuers.json"

    def run(*options: str, **changed: Any) -> Any:
        entry = {"issuer": issuer, "audience": ["example"], "claims": {"admin": "admin"}, **changed}
        file.write_text(json.dumps([entry]))
        return headgate("token", "--explain", str(file), *options, env={"HEADGATE_IDENTITY_TOKEN": token})

    return run


def test_an_accepted_identity_token_is_explained(explained: Any, admin_identity: tuple[str, str], granted: Any) -> None:
    done = explained(prefix="dev:")
    assert done.returncode == 0
    assert {"accepted", "user", "dev:ada", "admin", "yes"} <= set(done.stdout.split())
    found = json.loads(explained("--json").stdout)
    assert (found["accepted"], found["user"], found["admin"], found["iss"]) == (True, "ada", True, admin_identity[0])
    assert granted.asked == [], "nothing is exchanged"


@pytest.mark.parametrize(
    ("changed", "code", "claim", "advice"),
    [
        ({"audience": ["other"]}, "audience", "aud", "client id"),
        ({"issuer": "https://idp.example"}, "issuer", None, "final slash"),
        ({"algorithms": ["RS256"]}, "algorithm", None, "algorithms"),
        ({"claims": {"user": "uid"}}, "claim_missing", "uid", "missing"),
        ({"jwks_uri": "http://127.0.0.1:9/keys"}, "unavailable", None, "cannot be fetched"),
    ],
)
def test_a_refused_identity_token_is_explained(
    explained: Any, changed: dict[str, Any], code: str, claim: str | None, advice: str
) -> None:
    done = explained("--json", **changed)
    found = json.loads(done.stdout)
    assert (done.returncode, found["accepted"], found["code"], found["claim"]) == (3, False, code, claim)
    assert advice in found["why"]


def test_text_that_is_no_token_and_a_file_that_is_no_configuration_are_explained(headgate: Any, tmp_path: Path) -> None:
    (tmp_path / "issuers.json").write_text("[]")
    args = ("token", "--explain", str(tmp_path / "issuers.json"))
    done = headgate(*args, env={"HEADGATE_IDENTITY_TOKEN": "no.token"})
    assert (done.returncode, "not a signed JWT" in done.stdout) == (3, True)
    (tmp_path / "issuers.json").write_text('[{"issuer": "x"}]')
    done = headgate(*args, env={"HEADGATE_IDENTITY_TOKEN": "no.token"})
    assert (done.returncode, "issuers[0].audience" in done.stderr) == (2, True)
