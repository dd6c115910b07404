"""`headgate check`: stories pass or fail, and the exit code says which."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
GASTOWN = "examples/gastown"
VECTORS = sorted((ROOT / "tests/vectors").glob("decision-*.json"))


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "headgate_cli", *arguments], capture_output=True, text=True, cwd=ROOT, check=False
    )


def test_vectors_pass() -> None:
    done = run("check", "--json", *map(str, VECTORS))
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["wrong"] == []
    assert report["checked"] > 150


def test_stories_of_the_reference_manifest_pass() -> None:
    done = run("check", "--manifest", f"{GASTOWN}/manifest.yaml", f"{GASTOWN}/stories.json")
    assert (done.returncode, done.stdout.strip()) == (0, "10 of 10 decisions as expected")


def test_failing_story_is_named(tmp_path: Path) -> None:
    story = tmp_path / "wrong.json"
    case = {
        "name": "Everybody is in",
        "flag": "gastown-access",
        "subject": {"user": "u"},
        "value": True,
        "reason": "GA",
    }
    story.write_text(json.dumps({"cases": [case]}))
    done = run("check", "--manifest", f"{GASTOWN}/manifest.yaml", str(story))
    assert done.returncode == 1
    assert "Everybody is in: gastown-access: expected True GA, got False ADMIN_ONLY" in done.stdout


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"cases": [{}]}', '{"cases": [{"name": "n", "flag": "f", "flags": [1]}]}']
)
def test_invalid_vector_file_is_rejected(tmp_path: Path, text: str) -> None:
    file = tmp_path / "bad.json"
    file.write_text(text)
    done = run("check", str(file))
    assert done.returncode == 2
    assert "is not a file of decision vectors" in done.stderr
    assert "Traceback" not in done.stderr
