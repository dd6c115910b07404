"""Decides how a child process's interpreter is started: fast, and seeing no more than it must.

Without `site` no .pth file and no editable-install hook runs (40 ms a child), so a function finds Headgate in its layer
alone, as on Lambda; and without the script's folder on the path, none of the runner's modules shadows a library.
"""

from __future__ import annotations

import sys
import sysconfig
from pathlib import Path


def interpreter(script: Path) -> tuple[str, ...]:
    """The command that runs a script with the libraries of PYTHONPATH and nothing else beside the standard library."""
    return (sys.executable, "-S", "-P", str(script))


def library_folders() -> tuple[str, ...]:
    """The runner's own library folders (site-packages): the standard library and the working folder left out."""
    own = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib")}
    found = (entry for entry in sys.path if entry and Path(entry).is_dir())
    return tuple(entry for entry in found if entry not in own and not entry.endswith("lib-dynload"))
