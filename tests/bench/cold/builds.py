"""The artefacts to be started: ours by the make targets that `sam build` runs, the usual stack by pip. For one machine.

Both for Lambda's version of Python and for this machine's processor, so that they can be run here.
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
"""All that our store says to botocore about sessions, and the same to boto3."""


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


def build_with_boto3(python: str, ours: Path, folder: Path) -> Path:
    """A copy of ours in which boto3 makes the session and the clients: the boto3 of the layer's botocore."""
    layer = shutil.copytree(ours, folder) / "layer/python"
    (botocore,) = layer.glob("botocore-*.dist-info")
    version = re.sub(r"^botocore-|\.dist-info$", "", botocore.name)
    install(python, folder / "boto3", f"boto3=={version}")
    for package in ("boto3", "s3transfer"):  # all else that boto3 needs is in the layer, trimmed
        shutil.copytree(folder / "boto3" / package, layer / package)
        compile_all(python, layer / package)
    source = layer / "headgate/store/dynamo.py"
    text = source.read_text()
    for was, becomes in BY_BOTOCORE.items():
        assert text.count(was) == 1, f"{source.name}: {was}"
        text = text.replace(was, becomes)
    source.write_text(text)
    compile_all(python, source, "-f")  # trusted by hash: what was compiled before would still be taken
    return folder


def install(python: str, folder: Path, *packages: str) -> None:
    """Into a folder of their own, not compiled."""
    command = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile"]
    command += ["--only-binary", ":all:", "--target", str(folder), *packages]
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL)


def compile_all(python: str, what: Path, *options: str) -> None:
    """As layers/compile.mk does: a folder or a file."""
    command = [python, "-m", "compileall", "-q", "-j", "0", *options]
    command += ["--invalidation-mode", "unchecked-hash", str(what)]
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
