"""Headgate inside your own service: `from headgate import Gate, HeadgateProvider, caller_subject`.

The names in `__all__` are the public API. They change only in a major version, and CHANGELOG.md lists each change.
Every other module is internal. Each name is loaded on first use, so importing `headgate` costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from headgate.core.model import Subject
    from headgate.sdk.caller import Caller, MissingContext, caller_from
    from headgate.sdk.gate import Gate, NotAllowed, caller_subject
    from headgate.sdk.provider import HeadgateProvider

__all__ = [
    "Caller",
    "Gate",
    "HeadgateProvider",
    "MissingContext",
    "NotAllowed",
    "Subject",
    "caller_from",
    "caller_subject",
]

_MODULES = {
    "Caller": "sdk.caller",
    "Gate": "sdk.gate",
    "HeadgateProvider": "sdk.provider",
    "MissingContext": "sdk.caller",
    "NotAllowed": "sdk.gate",
    "Subject": "core.model",
    "caller_from": "sdk.caller",
    "caller_subject": "sdk.gate",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
