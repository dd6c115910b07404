"""`sam build` builds what the template names, without Docker."""

import json
import os
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path

import botocore
import botocore.session
import pytest
from botocore.loaders import Loader
from reproduce import build, digests
from template_checks.deployment import EXAMPLE, TEMPLATE, Deployment
from template_checks.expected import ALLOWED

ROOT = TEMPLATE.parent
LAYER = ROOT / "layers" / "headgate"
LOCK = LAYER / "requirements.txt"
GIVEN = {"HEADGATE_WEBHOOK_URL": "https://example.com", "HEADGATE_CHECKPOINT_BUCKET": "kept"}
"""Variables without which a function that is off by default does not start."""
PATH = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
BUILDING = {**os.environ, "PATH": PATH, "SAM_CLI_TELEMETRY": "0", "AWS_DEFAULT_REGION": "us-east-1"}


def run(*command: str | Path, **variables: str) -> str:
    env = {**BUILDING, **variables}
    done = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, env=env, cwd=ROOT, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def python313() -> str | None:
    """An interpreter of Lambda's version, if this machine has one."""
    asked = ["python3.13", "-c", "import sys; print(sys.executable)"]
    try:
        return subprocess.run(
            asked, capture_output=True, text=True, check=True, env={**BUILDING, "PYENV_VERSION": "3.13"}
        ).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


def needs_python313() -> str:
    python = python313()
    if python is None:
        pytest.skip("no python3.13 on this machine, and without it the build fails")
    return python


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    needs_python313()
    folder = tmp_path_factory.mktemp("sam") / "build"
    run("sam", "build", "--build-dir", folder, "--template-file", TEMPLATE)
    return folder


@pytest.fixture(scope="session")
def native_layer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The layer for this machine's processor, so that it can be imported here."""
    needs_python313()
    folder = tmp_path_factory.mktemp("layer")
    run(
        "make", "-C", LAYER, "build-HeadgateLayer", f"PLATFORM={platform.machine()}-manylinux2014",
        ARTIFACTS_DIR=str(folder),
    )  # fmt: skip
    return folder / "python"


@pytest.mark.slow
def test_example_builds_and_starts_with_only_the_layer(native_layer: Path, tmp_path: Path) -> None:
    run("sam", "build", "--build-dir", tmp_path, "--template-file", EXAMPLE)
    function = tmp_path / "GastownFunction"
    files = {str(f.relative_to(function)) for f in function.rglob("*") if f.is_file()}
    assert {f for f in files if not f.endswith(".pyc")} == sources(EXAMPLE.parent)
    python = needs_python313()
    program = (
        f"import sys; sys.path[:0] = {[str(function), str(native_layer)]!r}; import app; assert callable(app.handler)"
    )
    run(python, "-ISB", "-c", program, AWS_REGION="us-east-1", GASTOWN_TABLE="t")


def sources(folder: Path) -> set[str]:
    return {str(file.relative_to(folder)) for file in folder.rglob("*.py")}


@pytest.mark.slow
def test_each_function_contains_only_its_sources(built: Path, deployment: Deployment) -> None:
    for name in ALLOWED:
        source = ROOT / deployment.source["Resources"][name]["Properties"]["CodeUri"]
        files = {str(f.relative_to(built / name)) for f in (built / name).rglob("*") if f.is_file()}
        assert "app.py" in files
        assert {f for f in files if not f.endswith(".pyc")} == sources(source)


@pytest.mark.slow
def test_layer_contains_all_of_headgate(built: Path) -> None:
    layer = built / "HeadgateLayer" / "python"
    assert sources(layer / "headgate") == sources(LAYER / "headgate")


@pytest.mark.slow
def test_layer_contains_the_locked_packages_for_lambdas_processor(built: Path) -> None:
    layer = built / "HeadgateLayer" / "python"
    locked = dict(re.findall(r"^([a-z0-9-]+)==(\S+)", LOCK.read_text(), re.MULTILINE))
    found = {}
    for metadata in layer.glob("*.dist-info/METADATA"):
        fields = dict(re.findall(r"^(Name|Version): (\S+)", metadata.read_text(), re.MULTILINE))
        found[re.sub("[-_.]+", "-", fields["Name"]).lower()] = fields["Version"]
    assert found == locked
    extensions = [file.read_bytes()[:20] for file in layer.rglob("*.so")]
    assert extensions
    assert all(head[18:20] == b"\xb7\x00" for head in extensions), "an ELF file that is not for aarch64"


@pytest.mark.slow
def test_layer_is_trimmed(built: Path) -> None:
    layer = built / "HeadgateLayer" / "python"
    services = {folder.name for folder in (layer / "botocore" / "data").iterdir() if folder.is_dir()}
    assert services == {"dynamodb", "kms", "s3", "secretsmanager", "sts"}
    assert not list((layer / "botocore/data").rglob("service-2.json.gz")), "compressed, and mostly documentation"
    assert (layer / "botocore/data/endpoints.json").stat().st_size < 50_000
    assert (layer / "botocore" / "cacert.pem").exists()
    assert not (layer / "boto3").exists()
    size = sum(file.stat().st_size for file in layer.rglob("*") if file.is_file())
    assert size < 60_000_000


@pytest.mark.slow
def test_layer_is_byte_compiled(built: Path) -> None:
    layer = built / "HeadgateLayer" / "python"
    for file in (layer / "headgate").rglob("*.py"):
        compiled = file.parent / "__pycache__" / f"{file.stem}.cpython-313.pyc"
        assert compiled.exists(), file
        assert compiled.read_bytes()[4:8] == b"\x01\x00\x00\x00", "trusted by hash, never checked against the source"
        assert b"/opt/python/headgate" in compiled.read_bytes(), "tracebacks have the path on Lambda"
    for name in ALLOWED:
        assert (built / name / "__pycache__" / "app.cpython-313.pyc").exists()


@pytest.mark.slow
def test_build_is_reproducible(built: Path, tmp_path: Path) -> None:
    """Another folder, hour, umask, and time zone give the same bytes and modes."""
    assert digests(built) == digests(build(tmp_path, umask=0o007, zone="Asia/Kathmandu"))


@pytest.mark.slow
def test_build_is_of_copies(built: Path) -> None:
    """The build changes files in place: through a link it would change what uv keeps for the next installation."""
    assert {file.stat().st_nlink for file in built.rglob("*") if file.is_file()} == {1}


def test_build_without_the_interpreter_fails(tmp_path: Path) -> None:
    """Uncompiled code would work, with cold starts of more than twice the time, and nobody would notice."""
    command = ("make", "-C", ROOT / "functions" / "worker", "build-WorkerFunction", "PYTHON313=")
    done = subprocess.run(
        command, capture_output=True, text=True, env={**BUILDING, "ARTIFACTS_DIR": str(tmp_path)}, check=False
    )
    assert done.returncode != 0
    assert "python3.13 not found" in done.stderr


@pytest.mark.slow
def test_every_function_starts_with_only_the_layer(native_layer: Path, deployment: Deployment) -> None:
    """On Lambda's version of Python, with only the layer, in the template's environment."""
    python = needs_python313()
    for name in ALLOWED:
        variables = deployment.variables(name)
        variables |= {variable: GIVEN[variable] for variable in GIVEN.keys() & variables.keys()}
        code = ROOT / deployment.source["Resources"][name]["Properties"]["CodeUri"]
        path = [str(code), str(native_layer)]
        program = f"import sys; sys.path[:0] = {path!r}; import app; assert callable(app.handler)"
        run(python, "-ISB", "-c", program, AWS_REGION="us-east-1", **variables)


@pytest.mark.slow
def test_every_module_of_the_layer_can_be_imported(native_layer: Path) -> None:
    python = needs_python313()
    names = [
        ".".join(Path(file).with_suffix("").parts).removesuffix(".__init__") for file in sources(LAYER / "headgate")
    ]
    program = (
        f"import sys, importlib; sys.path.insert(0, {str(native_layer)!r}); "
        f"[importlib.import_module('headgate.' + n if n != '__init__' else 'headgate') for n in {sorted(names)!r}]; "
        "import botocore.session as b; s = b.get_session(); "
        "[s.create_client(n, region_name='us-east-1') for n in ('dynamodb', 'kms', 's3', 'secretsmanager', 'sts')]"
    )
    run(python, "-ISB", "-c", program)


def test_trimmed_data_gives_the_same_endpoints_and_operations(tmp_path: Path) -> None:
    """The same as botocore's own, in every partition in use."""
    services, data = ("dynamodb", "kms", "s3", "secretsmanager", "sts"), tmp_path / "data"
    shutil.copytree(Path(botocore.__file__).parent / "data", data, ignore=lambda folder, names: (
        set(names) - {*services} - {name for name in names if name.endswith(".json")}
        if folder.endswith("/data") else ()))  # fmt: skip
    run(sys.executable, LAYER / "trim.py", data, *services)
    whole, trimmed = botocore.session.Session(), botocore.session.Session()
    trimmed.register_component("data_loader", Loader([str(data)], include_default_search_paths=False))
    for session in (whole, trimmed):
        session.set_credentials("made-up", "made-up")
    for region in ("us-east-1", "eu-central-1", "cn-north-1", "us-gov-west-1", "eusc-de-east-1"):
        for service in services:
            theirs, ours = (session.create_client(service, region_name=region) for session in (whole, trimmed))
            assert ours.meta.endpoint_url == theirs.meta.endpoint_url
            models = ours.meta.service_model, theirs.meta.service_model
            assert models[0].operation_names == models[1].operation_names
            for name in models[0].operation_names:
                shapes = [model.operation_model(name).input_shape for model in models]
                assert repr(shapes[0] and shapes[0].members) == repr(shapes[1] and shapes[1].members)


def test_each_function_is_built_by_its_makefile(deployment: Deployment) -> None:
    makefiles = {
        function: ROOT / deployment.source["Resources"][function]["Properties"]["CodeUri"] for function in ALLOWED
    }
    for function, folder in makefiles.items():
        assert (folder / "Makefile").exists(), function
        assert deployment.source["Resources"][function]["Metadata"] == {"BuildMethod": "makefile"}
    assert json.dumps(deployment.source).count('"BuildMethod": "makefile"') == len(makefiles) + 1
