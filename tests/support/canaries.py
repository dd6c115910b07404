"""Secret and personal strings made for one run, and a search for them in every common encoding."""

import base64
import secrets
from collections.abc import Iterable


class Canaries:
    """Strings by name. Each contains a unique core of 16 letters, which is searched for."""

    def __init__(self) -> None:
        self._cores: dict[str, str] = {}

    def __len__(self) -> int:
        return len(self._cores)

    def new(self, name: str, form: str = "{}") -> str:
        """Return a string of that form (`{}` is the core), or the existing string of that name."""
        return form.replace("{}", self._cores.setdefault(name, secrets.token_hex(8)))

    def watch(self, name: str, value: str) -> str:
        """Add a string made elsewhere, such as a token or a key. Its tail, which is unique, is searched for."""
        self._cores[name] = value[-24:]
        return value

    def within(self, *texts: bytes | str) -> set[str]:
        """The names of the strings that are in the texts, plain or encoded."""
        whole = b"\n".join(text.encode() if isinstance(text, str) else text for text in texts)
        small = whole.lower()
        return {
            name
            for name, core in self._cores.items()
            if any(form in small for form in _plain(core)) or any(form in whole for form in _based(core.encode()))
        }


def _plain(core: str) -> Iterable[bytes]:
    """The core, and its URL, JSON, and hexadecimal escapes, all in lower case."""
    raw = core.lower().encode()
    yield raw
    yield core.encode().hex().encode()
    yield "".join(f"%{octet:02x}" for octet in core.encode()).encode().lower()
    yield "".join(f"\\u{octet:04x}" for octet in core.encode()).encode().lower()


def _based(raw: bytes) -> Iterable[bytes]:
    """The base64 letters that depend only on the core, at each offset where it can start, in both alphabets."""
    for before in range(3):
        first, last = -(-before * 8 // 6), (before + len(raw)) * 8 // 6
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            yield encode(b"\0" * before + raw)[first:last]
