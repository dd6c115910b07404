"""Secret and personal strings made for one run, and a search for them in every form in which text carries text."""

import base64
import secrets
from collections.abc import Iterable


class Canaries:
    """Strings by name. Each holds a core of 16 letters that stands nowhere else, which is what is looked for."""

    def __init__(self) -> None:
        self._cores: dict[str, str] = {}

    def __len__(self) -> int:
        return len(self._cores)

    def new(self, name: str, form: str = "{}") -> str:
        """A new one of that form (`{}` takes the core); the same as before where there is one of that name."""
        return form.replace("{}", self._cores.setdefault(name, secrets.token_hex(8)))

    def watch(self, name: str, value: str) -> str:
        """One that another made: a token, a key. It is looked for by its tail, which no two share."""
        self._cores[name] = value[-24:]
        return value

    def within(self, *texts: bytes | str) -> set[str]:
        """The names of those that are in the texts, as they are or encoded."""
        whole = b"\n".join(text.encode() if isinstance(text, str) else text for text in texts)
        small = whole.lower()
        return {
            name
            for name, core in self._cores.items()
            if any(form in small for form in _plain(core)) or any(form in whole for form in _based(core.encode()))
        }


def _plain(core: str) -> Iterable[bytes]:
    """The core, its letters as escapes of a URL and of JSON, and as hexadecimal, all in lower case."""
    raw = core.lower().encode()
    yield raw
    yield core.encode().hex().encode()
    yield "".join(f"%{octet:02x}" for octet in core.encode()).encode().lower()
    yield "".join(f"\\u{octet:04x}" for octet in core.encode()).encode().lower()


def _based(raw: bytes) -> Iterable[bytes]:
    """The letters of base64 that the core alone decides, at each place where it can begin; both alphabets."""
    for before in range(3):
        first, last = -(-before * 8 // 6), (before + len(raw)) * 8 // 6
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            yield encode(b"\0" * before + raw)[first:last]
