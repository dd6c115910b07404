"""Checkpoint files: one signed head of the audit stream a line (JSON Lines), and the key beside them that they hang on.

What counts is what the key signed. The first checkpoint of a file writes the public key to FILE.key: from then on that
key is pinned, and nothing that the API says later can change who is believed.
"""

import json
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headgate_cli import failures
from headgate_cli.failures import ExitCode, Failure

if TYPE_CHECKING:
    from headgate.tokens.checkpoint import Checkpoint
    from headgate.tokens.keys import PublicKey
    from headgate_cli.client import Client

KEY_PATH = "/admin/v1/audit/key"
THUMBPRINT = re.compile(r"[A-Za-z0-9_-]{43}")


@dataclass(frozen=True, slots=True)
class TrustedKey:
    """The key that checkpoints are verified with; `pinned` says by what, "" where the API was believed."""

    public: "PublicKey"
    pinned: str = ""

    @property
    def thumbprint(self) -> str:
        """RFC 7638."""
        from headgate.tokens.checkpoint import thumbprint

        return thumbprint(self.public)

    @property
    def told(self) -> str:
        """Which key, and why it is believed."""
        why = f"pinned by {self.pinned}" if self.pinned else "which the API gave just now: pin it with --key"
        return f"audit key {self.thumbprint}, {why}"


def key_beside(path: Path) -> Path:
    """Where a checkpoint file's key is kept."""
    return path.with_name(f"{path.name}.key")


def trusted_key(path: Path, given: str | None, fetch: Callable[[], "PublicKey"]) -> TrustedKey:
    """The key for a checkpoint file: `given` (a JWK file or a thumbprint), else the one beside it, else the API's.

    `fetch` asks the API. Raises `Failure`.
    """
    if given is not None and not THUMBPRINT.fullmatch(given):
        return TrustedKey(read_key(Path(given)), given)
    beside = key_beside(path)
    found = TrustedKey(read_key(beside), str(beside)) if beside.exists() else TrustedKey(fetch())
    if given is None:
        return found
    if found.thumbprint != given:
        raise broken("the audit key is another", f"its thumbprint is {found.thumbprint}, not {given}")
    return TrustedKey(found.public, "its thumbprint")


def read_key(path: Path) -> "PublicKey":
    """A public key from a JWK file. Raises `Failure` (usage)."""
    from headgate.tokens.keys import NotP256

    try:
        return public_key(json.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise failures.usage(f"{path}: {error.strerror}", "a key is a JWK file or a thumbprint of 43 letters") from None
    except (ValueError, RecursionError, NotP256):
        raise failures.usage(f"{path} is no public key in JWK form") from None


def fetched_key(client: "Client") -> "PublicKey":
    """The key that the API gives. Raises `Failure`."""
    from headgate.tokens.keys import NotP256

    try:
        return public_key(client.get(KEY_PATH).document.get("key"))
    except NotP256 as error:
        raise failures.unavailable("the API gave no audit key", str(error)) from None


def public_key(document: object) -> "PublicKey":
    """The key that a JWK holds. Raises `NotP256`."""
    from headgate.tokens.checkpoint import read_jwk

    return read_jwk(document if isinstance(document, Mapping) else {})


def write_key(path: Path, key: "PublicKey") -> None:
    """Keep a key, where none is kept yet."""
    with path.open("x", encoding="utf-8") as file:
        file.write(json.dumps(key.jwk(), indent=2) + "\n")


def read_checkpoints(path: Path, key: "PublicKey") -> list["Checkpoint"]:
    """Every checkpoint of a file, oldest first. Raises `Failure` at the first line that the key did not sign so, or
    that contradicts the lines before it."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise failures.usage(f"{path}: {error.strerror}") from None
    except ValueError:
        raise failures.usage(f"{path} is no checkpoint file") from None
    found: list[Checkpoint] = []
    for number, line in enumerate(lines, 1):
        try:
            checkpoint = signed_by(key, json.loads(line))
        except (ValueError, RecursionError) as error:
            raise broken(f"{path}: checkpoint {number} does not hold", str(error)) from None
        if found:
            _check_order(f"{path}: checkpoint {number}", found[-1], checkpoint)
        found.append(checkpoint)
    return found


def signed_by(key: "PublicKey", document: Any) -> "Checkpoint":
    """The checkpoint in a line or an answer. Raises `ValueError` where it says anything that the key did not sign."""
    from headgate.tokens.checkpoint import read_checkpoint
    from headgate.tokens.refusals import TokenRefused

    signature = document.get("signature") if isinstance(document, Mapping) else None
    if not isinstance(signature, str):
        raise ValueError("it has no signature")
    try:
        checkpoint = read_checkpoint(signature, key)
    except TokenRefused as refused:
        raise ValueError(f"the audit key did not sign it ({refused.code.value})") from None
    if dict(document) != {**asdict(checkpoint), "kid": key.kid, "signature": signature}:
        raise ValueError("it says something else than what was signed")
    return checkpoint


def append(path: Path, last: "Checkpoint | None", checkpoint: "Checkpoint", document: Mapping[str, Any]) -> None:
    """Add a line, on disk when this returns. Raises `Failure` where it contradicts the last one: nothing is added."""
    if last is not None:
        _check_order("the log", last, checkpoint)
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(document, separators=(",", ":")) + "\n")
        file.flush()
        os.fsync(file.fileno())


def _check_order(what: str, earlier: "Checkpoint", later: "Checkpoint") -> None:
    if later.revision < earlier.revision:
        raise broken(f"{what} goes back", f"revision {earlier.revision} was signed, and now it is {later.revision}")
    if later.revision == earlier.revision and later.digest != earlier.digest:
        raise broken(f"{what} was rewritten", f"revision {later.revision} has another digest than was signed")


def broken(title: str, detail: str) -> Failure:
    """A checkpoint and what it is held against do not agree."""
    return Failure(ExitCode.CHECK_FAILED, title, detail, slug="checkpoint-broken")
