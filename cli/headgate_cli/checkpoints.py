"""Checkpoint files: one signed head of the audit stream per line (JSON Lines), and the key file that verifies them.

Only what the key signed is trusted. The first checkpoint of a file writes the public key to FILE.key. From then on that
key is pinned, and the API cannot replace it.
"""

import json
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

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
    """The key that verifies checkpoints. `pinned` names what pins it; "" means that it came from the API just now."""

    public: "PublicKey"
    pinned: str = ""

    @property
    def thumbprint(self) -> str:
        """The key's RFC 7638 thumbprint."""
        from headgate.tokens.checkpoint import thumbprint

        return thumbprint(self.public)

    @property
    def told(self) -> str:
        """The key and why it is trusted, in words."""
        why = f"pinned by {self.pinned}" if self.pinned else "not pinned (from the API): pin it with --key"
        return f"audit key {self.thumbprint}, {why}"


def key_beside(path: Path) -> Path:
    """Return the path of a checkpoint file's key."""
    return path.with_name(f"{path.name}.key")


def trusted_key(path: Path, given: str | None, fetch: Callable[[], "PublicKey"]) -> TrustedKey:
    """Return the key for a checkpoint file: `given` (a JWK file or a thumbprint), else FILE.key, else the API's key.

    `fetch` gets the key from the API. Raises `Failure`.
    """
    if given is not None and not THUMBPRINT.fullmatch(given):
        return TrustedKey(read_key(Path(given)), given)
    beside = key_beside(path)
    found = TrustedKey(read_key(beside), str(beside)) if beside.exists() else TrustedKey(fetch())
    if given is None:
        return found
    if found.thumbprint != given:
        raise broken("the audit key does not match --key", f"its thumbprint is {found.thumbprint}, not {given}")
    return TrustedKey(found.public, "its thumbprint")


def read_key(path: Path) -> "PublicKey":
    """Read a public key from a JWK file. Raises `Failure` (usage)."""
    from headgate.tokens.keys import NotP256

    try:
        return public_key(json.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        hint = "pass a JWK file or a thumbprint of 43 characters"
        raise failures.usage(f"cannot read {path}: {error.strerror}", hint) from None
    except (ValueError, RecursionError, NotP256):
        raise failures.usage(f"{path} is not a P-256 public key in JWK format") from None


def fetched_key(client: "Client") -> "PublicKey":
    """Get the audit key from the API. Raises `Failure`."""
    from headgate.tokens.keys import NotP256

    try:
        return public_key(client.get(KEY_PATH).document.get("key"))
    except NotP256 as error:
        raise failures.unavailable("the API returned no valid audit key", str(error)) from None


def public_key(document: object) -> "PublicKey":
    """Parse a JWK. Raises `NotP256`."""
    from headgate.tokens.checkpoint import read_jwk

    return read_jwk(document if isinstance(document, Mapping) else {})


def write_key(path: Path, key: "PublicKey") -> None:
    """Write a key to a new file."""
    with _writable(path, "x") as file:
        file.write(json.dumps(key.jwk(), indent=2) + "\n")


@contextmanager
def _writable(path: Path, mode: str) -> Iterator[IO[str]]:
    """Open a file to write. Raises `Failure` (usage)."""
    try:
        with path.open(mode, encoding="utf-8") as file:
            yield file
    except OSError as error:
        raise failures.usage(f"cannot write {path}: {error.strerror}") from None


def read_checkpoints(path: Path, key: "PublicKey") -> list["Checkpoint"]:
    """Return every checkpoint of a file, oldest first.

    Raises `Failure` at the first line that the key did not sign, or that contradicts an earlier line.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise failures.usage(f"cannot read {path}: {error.strerror}") from None
    except ValueError:
        raise failures.usage(f"{path} is not a checkpoint file") from None
    found: list[Checkpoint] = []
    for number, line in enumerate(lines, 1):
        try:
            checkpoint = signed_by(key, json.loads(line))
        except (ValueError, RecursionError) as error:
            raise broken(f"{path}: checkpoint {number} is invalid", str(error)) from None
        if found:
            _check_order(f"{path}: checkpoint {number}", found[-1], checkpoint)
        found.append(checkpoint)
    return found


def signed_by(key: "PublicKey", document: Any) -> "Checkpoint":
    """Return the checkpoint in a line or an answer. Raises `ValueError` if any member is not as the key signed it."""
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
        raise ValueError("its members differ from what was signed")
    return checkpoint


def check_next(earlier: Sequence["Checkpoint"], checkpoint: "Checkpoint") -> None:
    """Raise `Failure` if a new checkpoint contradicts the last one."""
    if earlier:
        _check_order("the log", earlier[-1], checkpoint)


def append(path: Path, document: Mapping[str, Any]) -> None:
    """Append a checkpoint as a line of its own, and sync it to disk. Raises `Failure` (usage)."""
    with _writable(path, "a") as file:
        begun = "" if _ends_a_line(path) else "\n"
        file.write(begun + json.dumps(document, separators=(",", ":")) + "\n")
        file.flush()
        os.fsync(file.fileno())


def _ends_a_line(path: Path) -> bool:
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - 1))
        return file.read() in (b"", b"\n")


def _check_order(what: str, earlier: "Checkpoint", later: "Checkpoint") -> None:
    if later.revision < earlier.revision:
        raise broken(f"{what} went back", f"revision {earlier.revision} was signed before revision {later.revision}")
    if later.revision == earlier.revision and later.digest != earlier.digest:
        raise broken(f"{what} was rewritten", f"the digest of revision {later.revision} differs from the signed one")


def broken(title: str, detail: str) -> Failure:
    """Return the failure for a checkpoint that does not match what it is compared with."""
    return Failure(ExitCode.CHECK_FAILED, title, detail, slug="checkpoint-broken")
