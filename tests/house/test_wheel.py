"""The built wheel, installed in an empty folder without a clone: the laptop mode, the tour, and the stories work."""

import json
import os
import signal
import subprocess
import sys
import sysconfig
import venv
import zipfile
from collections.abc import Iterator
from pathlib import Path
from shutil import copytree, ignore_patterns
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

ROOT = Path(__file__).parents[2]
LIBRARIES = Path(sysconfig.get_path("purelib"))
BUILT_FROM = ("cli", "layers", "functions", "examples/gastown")
BESIDE = ("pyproject.toml", "setup.py", "MANIFEST.in", "README.md", "template.yaml", "manifest.yaml")
EXTRA = ("moto", "starlette", "uvicorn", "python_multipart", "multipart")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy, since a build leaves files next to the sources; without an index."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("dist")
    for name in BUILT_FROM:
        copytree(ROOT / name, source / name, ignore=ignore_patterns("__pycache__", ".aws-sam", "*.egg-info"))
    for name in BESIDE:
        (source / name).write_bytes((ROOT / name).read_bytes())
    pip("wheel", "--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", str(out), str(source))
    (built,) = out.glob("*.whl")
    return built


def pip(*arguments: str) -> None:
    done = subprocess.run([sys.executable, "-m", "pip", "-q", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def installed(wheel: Path, folder: Path, *, without: tuple[str, ...] = ()) -> Path:
    """The `headgate` of a fresh environment that contains the wheel and this environment's other libraries."""
    venv.create(folder, with_pip=False, symlinks=True)
    pip("--python", str(folder), "install", "--no-deps", "--no-index", str(wheel))
    libraries = folder / "libraries"
    libraries.mkdir()
    for entry in LIBRARIES.iterdir():  # by link and without .pth files, so that no editable install is included
        own = entry.name.startswith(("headgate", "__editable__")) or entry.suffix == ".pth"
        if not own and entry.name not in without:
            (libraries / entry.name).symlink_to(entry)
    (site,) = folder.glob("lib/python*/site-packages")
    (site / "libraries.pth").write_text(f"{libraries}\n")
    return folder / "bin" / "headgate"


@pytest.fixture(scope="module")
def headgate(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return installed(wheel, tmp_path_factory.mktemp("with-extra"))


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[Path]:
    """The working folder. Nothing is left in it."""
    yield tmp_path
    assert list(tmp_path.iterdir()) == []


def run(command: Path, *arguments: str, cwd: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [command, *arguments],
        capture_output=True,
        text=True,
        cwd=cwd,
        env=clean_environment(),
        timeout=120,
        check=False,
    )


def clean_environment() -> dict[str, str]:
    """This environment without variables that could point to the checkout."""
    ours = ("AWS_", "HEADGATE_", "PYTHON", "VIRTUAL_ENV")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)}


def status(url: str) -> int:
    try:
        with urlopen(url) as answer:  # noqa: S310 - loopback
            return int(answer.status)
    except HTTPError as error:
        return error.code


def test_wheel_contains_the_project_files(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        held = {
            name.removeprefix("headgate_cli/_project/"): archive.read(name)
            for name in archive.namelist()
            if name.startswith("headgate_cli/_project/")
        }
    sources = {str(path.relative_to(ROOT)) for folder in BUILT_FROM[2:] for path in (ROOT / folder).rglob("*.py")}
    example = {f"examples/gastown/{name}" for name in ("template.yaml", "manifest.yaml", "stories.json", "tour.yaml")}
    assert held.keys() == sources | example | {"template.yaml", "manifest.yaml"}
    assert all((ROOT / name).read_bytes() == content for name, content in held.items())


def test_local_serves_the_gate_and_the_example(headgate: Path, empty: Path) -> None:
    program = "import headgate, headgate_cli; print(headgate.__file__, headgate_cli.__file__)"
    found = run(headgate.with_name("python"), "-c", program, cwd=empty).stdout.split()
    assert all(Path(file).is_relative_to(headgate.parents[1]) for file in found), found
    command = [headgate, "local", "--port", "0", "--idp-port", "0", "--ready-json", "--parent", str(os.getpid())]
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "text": True}
    with subprocess.Popen(command, cwd=empty, env=clean_environment(), **pipes) as process:
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())
        assert status(f"{ready['api']}/.well-known/jwks.json") == 200
        assert status(f"{ready['api']}/whoami") == 401
        assert status(f"{ready['api']}/api/towns") == 401
        assert status(f"{ready['api']}/api/nothing") == 404
        process.send_signal(signal.SIGTERM)
        assert process.wait(15) == 0


def test_tour_succeeds(headgate: Path, empty: Path) -> None:
    done = run(headgate, "tour", cwd=empty)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1].startswith("40 of 40 answers as expected")


def test_stories_pass(headgate: Path, empty: Path) -> None:
    done = run(headgate, "check", cwd=empty)
    assert (done.returncode, done.stdout.strip()) == (0, "10 of 10 decisions as expected")


def test_without_the_extra_the_command_works_and_gives_a_hint(
    wheel: Path, tmp_path_factory: pytest.TempPathFactory, empty: Path
) -> None:
    command = installed(wheel, tmp_path_factory.mktemp("plain"), without=EXTRA)
    assert run(command, "check", cwd=empty).returncode == 0
    assert run(command, "--help", cwd=empty).returncode == 0
    assert "guarded API" in run(command, "cost", cwd=empty).stdout  # its prices are in the wheel
    for name in ("local", "tour"):
        refused = run(command, name, cwd=empty)
        assert refused.returncode != 0
        assert "moto is not installed" in refused.stderr
        assert "pip install 'headgate[local]'" in refused.stderr
        assert "Traceback" not in refused.stderr
