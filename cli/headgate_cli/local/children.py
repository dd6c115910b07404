"""Decides how a child process's interpreter starts: fast, and with as few import paths as possible.

Without `site`, no .pth file and no editable-install hook runs (40 ms per child), so a function finds Headgate only in
its layer, as on Lambda. Without the script's folder on the path, none of the runner's modules shadows a library.
"""

from __future__ import annotations

import sys
import sysconfig
from pathlib import Path


def interpreter(script: Path) -> tuple[str, ...]:
    """Return the command that runs a script with only PYTHONPATH and the standard library."""
    return (sys.executable, "-S", "-P", str(script))


def library_folders() -> tuple[str, ...]:
    """Return the runner's library folders (site-packages), without the standard library and the working folder."""
    own = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib")}
    found = (entry for entry in sys.path if entry and Path(entry).is_dir())
    return tuple(entry for entry in found if entry not in own and not entry.endswith("lib-dynload"))
