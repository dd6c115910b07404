"""The artifacts to start: ours by the make targets of `sam build`, the usual stack by pip.

Both for Lambda's version of Python and this machine's processor.
"""

import os
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
USUAL = Path(__file__).with_name("usual")
LIBRARIES = ("aws-lambda-powertools[tracer,parser]", "boto3", "PyJWT[crypto]")
RUNTIME = ("awslambdaric",)
BY_BOTOCORE = {
    "import botocore.session": "import boto3",
    "botocore.session.get_session()": "boto3.Session()",
    "_session().create_client(": "_session().client(",
}
"""The lines of our store that create botocore sessions, and the same with boto3."""


def python313() -> str | None:
    """Lambda's version of the interpreter, if it is on PATH (under pyenv it must be selected)."""
    try:
        asked = ["python3.13", "-c", "import sys; print(sys.executable)"]
        env = {**os.environ, "PYENV_VERSION": "3.13"}
        return subprocess.run(asked, capture_output=True, text=True, check=True, env=env).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


def build_ours(folder: Path) -> Path:
    """Build the layer and two functions, byte-compiled as deployed."""
    uv = shutil.which("uv", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}")
    layer = [f"PLATFORM={platform.machine()}-manylinux2014", *([f"UV={uv}"] if uv else [])]
    _make(ROOT / "layers/headgate", "build-HeadgateLayer", folder / "layer", *layer)
    for name in ("authorizer", "evaluate"):
        (folder / name).mkdir()
        _make(ROOT / "functions" / name, f"build-{name.title()}Function", folder / name)
    return folder


def build_usual(python: str, folder: Path) -> Path:
    """Build the usual stack's libraries and handlers, byte-compiled."""
    install(python, folder / "layer/python", *LIBRARIES)
    for name in ("authorizer", "evaluate"):
        shutil.copytree(USUAL / name, folder / name)
        shutil.copy(USUAL / "shared.py", folder / name)
    compile_all(python, folder)
    return folder


def build_with_boto3(python: str, ours: Path, folder: Path) -> Path:
    """A copy of ours in which boto3 makes the session and the clients: the boto3 of the layer's botocore."""
    layer = shutil.copytree(ours, folder) / "layer/python"
    (botocore,) = layer.glob("botocore-*.dist-info")
    version = re.sub(r"^botocore-|\.dist-info$", "", botocore.name)
    install(python, folder / "boto3", f"boto3=={version}")
    for package in ("boto3", "s3transfer"):  # the layer has everything else that boto3 needs, trimmed
        shutil.copytree(folder / "boto3" / package, layer / package)
        compile_all(python, layer / package)
    source = layer / "headgate/store/dynamo.py"
    text = source.read_text()
    for was, becomes in BY_BOTOCORE.items():
        assert text.count(was) == 1, f"{source.name}: {was}"
        text = text.replace(was, becomes)
    source.write_text(text)
    compile_all(python, source, "-f")  # hash-based .pyc files are not invalidated: an old one would still be used
    return folder


def install(python: str, folder: Path, *packages: str) -> None:
    """Install into a folder, without byte-compilation."""
    command = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile"]
    command += ["--only-binary", ":all:", "--target", str(folder), *packages]
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL)


def compile_all(python: str, what: Path, *options: str) -> None:
    """Byte-compile a folder or a file as layers/compile.mk does."""
    command = [python, "-m", "compileall", "-q", "-j", "0", *options]
    command += ["--invalidation-mode", "unchecked-hash", str(what)]
    subprocess.run(command, check=True)


def not_compiled(folder: Path, copy: Path) -> Path:
    """A copy without compiled files, as from a build that does not compile."""
    return Path(shutil.copytree(folder, copy, ignore=shutil.ignore_patterns("__pycache__")))


def _make(folder: Path, target: str, into: Path, *variables: str) -> None:
    into.mkdir(exist_ok=True)
    subprocess.run(["make", "-s", "-C", str(folder), target, f"ARTIFACTS_DIR={into}", *variables], check=True)


def megabytes(folder: Path) -> float:
    """The size of all files in a folder."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) / 1e6
