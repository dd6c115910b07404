"""The artefacts to be started: ours by the make targets that `sam build` runs, the usual stack by pip. For one machine.

Both for Lambda's version of Python and for this machine's processor, so that they can be run here.
"""

import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
USUAL = Path(__file__).with_name("usual")
LIBRARIES = ("aws-lambda-powertools[tracer,parser]", "boto3", "PyJWT[crypto]")
RUNTIME = ("awslambdaric",)


def python313() -> str | None:
    """Lambda's version of the interpreter, if there is one on PATH (under pyenv it must be chosen to start)."""
    try:
        asked = ["python3.13", "-c", "import sys; print(sys.executable)"]
        env = {**os.environ, "PYENV_VERSION": "3.13"}
        return subprocess.run(asked, capture_output=True, text=True, check=True, env=env).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


def build_ours(folder: Path) -> Path:
    """The layer and two functions, byte-compiled as they are deployed."""
    uv = shutil.which("uv", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}")
    layer = [f"PLATFORM={platform.machine()}-manylinux2014", *([f"UV={uv}"] if uv else [])]
    _make(ROOT / "layers/headgate", "build-HeadgateLayer", folder / "layer", *layer)
    for name in ("authorizer", "evaluate"):
        (folder / name).mkdir()
        _make(ROOT / "functions" / name, f"build-{name.title()}Function", folder / name)
    return folder


def build_usual(python: str, folder: Path) -> Path:
    """The usual stack's libraries and handlers, byte-compiled likewise."""
    install(python, folder / "layer/python", *LIBRARIES)
    for name in ("authorizer", "evaluate"):
        shutil.copytree(USUAL / name, folder / name)
        shutil.copy(USUAL / "shared.py", folder / name)
    compile_all(python, folder)
    return folder


def install(python: str, folder: Path, *packages: str) -> None:
    """Into a folder of their own, not compiled."""
    command = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile"]
    command += ["--only-binary", ":all:", "--target", str(folder), *packages]
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL)


def compile_all(python: str, folder: Path) -> None:
    """As layers/compile.mk does."""
    command = [python, "-m", "compileall", "-q", "-j", "0", "--invalidation-mode", "unchecked-hash", str(folder)]
    subprocess.run(command, check=True)


def not_compiled(folder: Path, copy: Path) -> Path:
    """A copy without its compiled files: what Lambda gets from a build that does not compile."""
    return Path(shutil.copytree(folder, copy, ignore=shutil.ignore_patterns("__pycache__")))


def _make(folder: Path, target: str, into: Path, *variables: str) -> None:
    into.mkdir(exist_ok=True)
    subprocess.run(["make", "-s", "-C", str(folder), target, f"ARTIFACTS_DIR={into}", *variables], check=True)


def megabytes(folder: Path) -> float:
    """Of all its files."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) / 1e6
