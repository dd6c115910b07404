"""`headgate check`: stories hold or they do not, and the exit code says which."""

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


def test_the_vectors_hold() -> None:
    done = run("check", "--json", *map(str, VECTORS))
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["wrong"] == []
    assert told["checked"] > 150


def test_the_stories_of_the_reference_manifest_hold() -> None:
    done = run("check", "--manifest", f"{GASTOWN}/manifest.yaml", f"{GASTOWN}/stories.json")
    assert (done.returncode, done.stdout.strip()) == (0, "10 of 10 decisions as written")


def test_a_story_that_does_not_hold_is_named(tmp_path: Path) -> None:
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
    assert "Everybody is in: gastown-access must be True GA, is False ADMIN_ONLY" in done.stdout


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"cases": [{}]}', '{"cases": [{"name": "n", "flag": "f", "flags": [1]}]}']
)
def test_what_is_no_file_of_vectors_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "bad.json"
    file.write_text(text)
    done = run("check", str(file))
    assert done.returncode == 2
    assert "no file of decision vectors" in done.stderr
    assert "Traceback" not in done.stderr
