"""Build the functions and the layer twice and print the digest of each artifact; exit 1 if two differ.

Each build has a new folder, its own umask, time zone, and hash seed, and begins at another time.
"""

import os
import subprocess
import sys
from hashlib import sha256
from pathlib import Path
from shutil import copytree, ignore_patterns
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parents[2]


def build(folder: Path, *, umask: int, zone: str) -> Path:
    """Build from a copy of the sources. Returns SAM's build folder; raises CalledProcessError with SAM's output."""
    for name in ("functions", "layers"):
        copytree(ROOT / name, folder / name, ignore=ignore_patterns("__pycache__"))
    (folder / "template.yaml").write_bytes((ROOT / "template.yaml").read_bytes())
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    settings = {"SAM_CLI_TELEMETRY": "0", "AWS_DEFAULT_REGION": "us-east-1", "TZ": zone, "PYTHONHASHSEED": "random"}
    subprocess.run(
        ["sam", "build", "--parallel"],
        cwd=folder, umask=umask, env={**os.environ, "PATH": path, **settings},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=True,
    )  # fmt: skip
    return folder / ".aws-sam" / "build"


def digests(built: Path) -> dict[str, str]:
    """SHA-256 of each artifact, over what SAM archives: path, mode, and content of each file, in the order of paths."""
    return {artifact.name: _digest(artifact) for artifact in sorted(built.iterdir()) if artifact.is_dir()}


def _digest(artifact: Path) -> str:
    whole = sha256()
    for file in sorted(file for file in artifact.rglob("*") if file.is_file()):
        content = sha256(file.read_bytes()).hexdigest()
        whole.update(f"{file.relative_to(artifact)} {file.stat().st_mode & 0o777:o} {content}\n".encode())
    return whole.hexdigest()


def main() -> int:
    """Build twice and compare."""
    with TemporaryDirectory() as one, TemporaryDirectory() as other:
        first = digests(build(Path(one), umask=0o022, zone="UTC"))
        second = digests(build(Path(other), umask=0o007, zone="Asia/Kathmandu"))
    for name, digest in first.items():
        print(f"{digest}  {name}{'' if second.get(name) == digest else '  differs: ' + str(second.get(name))}")
    return int(first != second)


if __name__ == "__main__":
    sys.exit(main())
