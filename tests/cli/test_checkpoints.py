"""Checkpoint files: what is appended, which keys verify them, and what they find that the chain alone cannot."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from headgate.core.audit import GENESIS, sealed
from headgate.tokens.checkpoint import Checkpoint, sign_checkpoint, thumbprint
from headgate.tokens.keys import LocalSigner

LOG, CHECKPOINTS, KEY = "GET /admin/v1/audit", "POST /admin/v1/audit/checkpoints", "GET /admin/v1/audit/key"
OURS, THEIRS = LocalSigner("audit-key"), LocalSigner("audit-key")
Entries = list[dict[str, Any]]


def chain(length: int, note: str = "") -> Entries:
    entries: Entries = []
    for revision in range(1, length + 1):
        prev = entries[-1]["digest"] if entries else GENESIS
        entries.append(
            sealed({"revision": revision, "at": "2030-01-01T00:00:00.000Z", "actor": {}, "action": "flag.stage",
                    "flag": "f", "before": None, "after": {"stage": "ga"}, "reason": note, "request_id": "r",
                    "prev": prev})
        )  # fmt: skip
    return entries


def checkpoint(entries: Entries, by: LocalSigner = OURS, **members: Any) -> dict[str, Any]:
    """A checkpoint as the API answers it; `members` override what is next to the signature."""
    digest = entries[-1]["digest"] if entries else GENESIS
    head = Checkpoint(issuer="https://gate.example", revision=len(entries), digest=digest, at="2030-01-01T00:00:00Z")
    shown = {"revision": head.revision, "digest": digest, "at": head.at, "issuer": head.issuer, "kid": by.kid}
    return {**shown, "signature": sign_checkpoint(by, head), **members}


Serve = Callable[..., None]


@pytest.fixture
def serve(upstream: Any, reply: Any) -> Serve:
    """Serve these entries, their head, and this key."""

    def served(entries: Entries, key: LocalSigner = OURS, answer: dict[str, Any] | None = None) -> None:
        head = {"revision": len(entries), "digest": entries[-1]["digest"] if entries else GENESIS}
        upstream.on(LOG, reply(body={"entries": entries[::-1], "head": head, "next": None}))
        upstream.on(CHECKPOINTS, reply(201, body=answer or checkpoint(entries, key)))
        upstream.on(KEY, reply(body={"key": key.public().jwk(), "thumbprint": thumbprint(key.public())}))

    return served


def test_file_starts_with_its_key_and_is_appended_to(invoke: Any, serve: Serve, upstream: Any, tmp_path: Path) -> None:
    file, entries = tmp_path / "heads.jsonl", chain(9)
    for count, length in enumerate((4, 4, 9), 1):
        serve(entries[:length])
        done = invoke("audit", "checkpoint", str(file))
        assert done.exit_code == 0, done.stderr
        assert f"checkpoint {count} in {file}: revision {length}, signed by audit key" in done.stdout
    assert [json.loads(line)["revision"] for line in file.read_text().splitlines()] == [4, 4, 9]
    assert json.loads(Path(f"{file}.key").read_text()) == OURS.public().jwk()
    assert upstream.lines().count(KEY) == 1
    done = invoke("audit", "verify", "--checkpoint", str(file))
    assert done.exit_code == 0, done.stderr
    shown = f"3 checkpoints match, the last at revision 9, signed by audit key {thumbprint(OURS.public())}, pinned by"
    assert f"{shown} {file}.key" in done.stdout


def test_file_without_a_last_line_end_keeps_its_lines(invoke: Any, serve: Serve, tmp_path: Path) -> None:
    file = tmp_path / "heads.jsonl"
    serve(chain(2))
    invoke("audit", "checkpoint", str(file))
    file.write_text(file.read_text().rstrip("\n"))
    assert invoke("audit", "checkpoint", str(file)).exit_code == 0
    assert [json.loads(line)["revision"] for line in file.read_text().splitlines()] == [2, 2]
    assert invoke("audit", "verify", "--checkpoint", str(file)).exit_code == 0


def test_unwritable_checkpoint_file_is_wrong_usage(invoke: Any, serve: Serve, tmp_path: Path) -> None:
    serve(chain(2))
    done = invoke("audit", "checkpoint", str(tmp_path / "none" / "heads.jsonl"))
    assert (done.exit_code, "cannot write" in done.stderr) == (2, True)


def test_checkpoint_without_a_file_prints_one_line(invoke: Any, serve: Serve) -> None:
    serve(chain(3))
    done = invoke("audit", "checkpoint")
    assert json.loads(done.stdout)["revision"] == 3
    assert done.stdout.count("\n") == 1


def test_empty_log_has_a_head(invoke: Any, serve: Serve, tmp_path: Path) -> None:
    file = str(tmp_path / "heads")
    serve([])
    assert invoke("audit", "checkpoint", file).exit_code == 0
    assert invoke("audit", "verify", "--checkpoint", file).exit_code == 0
    serve(chain(2))
    assert invoke("audit", "verify", "--checkpoint", file).exit_code == 0


@pytest.mark.parametrize(
    ("forged", "at"), [(chain(12, "forged"), 10), (chain(10, "forged"), 10), (chain(12)[:9], 10), ([], 1)],
    ids=["rewritten", "rewritten and cut", "cut", "emptied"],
)  # fmt: skip
def test_checkpoint_finds_what_the_chain_cannot(
    invoke: Any, serve: Serve, tmp_path: Path, forged: Entries, at: int
) -> None:
    file = str(tmp_path / "heads")
    serve(chain(10))
    invoke("audit", "checkpoint", file)
    serve(forged)
    assert invoke("audit", "verify").exit_code == 0
    done = invoke("audit", "verify", "--checkpoint", file)
    assert done.exit_code == 1
    assert f"the chain breaks at revision {at}" in done.stderr
    again = invoke("audit", "checkpoint", file)
    if len(forged) <= 10:
        assert again.exit_code == 1
        assert len(Path(file).read_text().splitlines()) == 1


def test_attack_forged_key_is_found_by_the_pinned_key(invoke: Any, serve: Serve, tmp_path: Path) -> None:
    """Whoever controls the key behind the API can sign anything: the pinned key detects it, the API's own cannot."""
    file, forged = tmp_path / "heads", chain(10, "forged")
    serve(chain(10))
    invoke("audit", "checkpoint", str(file))
    serve(forged, THEIRS)
    for arguments in ((), ("--key", f"{file}.key"), ("--key", thumbprint(OURS.public()))):
        done = invoke("audit", "verify", "--checkpoint", str(file), *arguments)
        assert (done.exit_code, "breaks at revision 10" in done.stderr) == (1, True), done.output
    assert "the API's checkpoint is invalid" in invoke("audit", "checkpoint", str(file)).stderr
    file.write_text(json.dumps(checkpoint(forged, THEIRS)) + "\n")
    assert "the audit key did not sign it" in invoke("audit", "verify", "--checkpoint", str(file)).stderr
    Path(f"{file}.key").unlink()
    done = invoke("audit", "verify", "--checkpoint", str(file))
    assert done.exit_code == 0
    assert "not pinned (from the API): pin it with --key" in done.stdout
    done = invoke("audit", "verify", "--checkpoint", str(file), "--key", thumbprint(OURS.public()))
    assert done.exit_code == 1
    assert "the audit key does not match --key" in done.stderr


@pytest.mark.parametrize(
    "line",
    ["", "no json", "[]", "{}", '{"signature": 7}', json.dumps(checkpoint(chain(3), THEIRS)),
     json.dumps(checkpoint(chain(3), revision=4)), json.dumps(checkpoint(chain(3), extra=1)),
     json.dumps(checkpoint(chain(3)))[:-1], json.dumps(checkpoint(chain(2))), "[" * 50_000],
    ids=["empty", "no json", "list", "nothing", "number", "another key", "another revision", "more", "torn", "back",
         "deep"],
)  # fmt: skip
def test_every_line_of_the_file_must_be_valid(invoke: Any, serve: Serve, tmp_path: Path, line: str) -> None:
    file = tmp_path / "heads"
    serve(chain(3))
    invoke("audit", "checkpoint", str(file))
    with file.open("a") as written:
        written.write(f"{line}\n")
    for command in ("verify", "--checkpoint"), ("checkpoint",):
        done = invoke("audit", *command, str(file))
        assert done.exit_code == 1
        assert f"{file}: checkpoint 2" in done.stderr
        assert "Traceback" not in done.output
    assert len(file.read_text().splitlines()) == 2


def test_two_digests_for_one_revision_are_found(invoke: Any, serve: Serve, tmp_path: Path) -> None:
    file = tmp_path / "heads"
    file.write_text("".join(json.dumps(checkpoint(chain(3, note))) + "\n" for note in ("", "forged")))
    serve(chain(3))
    assert "checkpoint 2 was rewritten" in invoke("audit", "verify", "--checkpoint", str(file)).stderr


def test_key_can_be_printed_and_pinned(invoke: Any, serve: Serve, tmp_path: Path) -> None:
    serve(chain(1))
    assert thumbprint(OURS.public()) in invoke("audit", "key").stdout
    kept = tmp_path / "key.jwk"
    kept.write_text(invoke("audit", "key", "--json").stdout)
    file = str(tmp_path / "heads")
    invoke("audit", "checkpoint", file)
    done = invoke("audit", "verify", "--checkpoint", file, "--key", str(kept), "--json")
    assert json.loads(done.stdout)["checkpoints"] == {
        "count": 1, "last": 1, "thumbprint": thumbprint(OURS.public()), "pinned": str(kept)
    }  # fmt: skip


@pytest.mark.parametrize(
    "arguments",
    [("--checkpoint", "not-there"), ("--key", "k"), ("--checkpoint", "heads", "--key", "not-there"),
     ("--checkpoint", "heads", "--key", "heads")],
    ids=["no file", "no checkpoint", "no key file", "no key in it"],
)  # fmt: skip
def test_unreadable_file_is_wrong_usage(invoke: Any, serve: Serve, tmp_path: Path, arguments: tuple[str, ...]) -> None:
    serve(chain(1))
    invoke("audit", "checkpoint", str(tmp_path / "heads"))
    given = [str(tmp_path / word) if word in ("heads", "not-there") else word for word in arguments]
    assert invoke("audit", "verify", *given).exit_code == 2
