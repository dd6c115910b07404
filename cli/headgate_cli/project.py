"""Finds the files that the command serves: templates, manifests, functions, the example service.

In a checkout they are in the project's folder; the wheel contains a copy inside this package (`setup.py`).
"""

from pathlib import Path

from headgate_cli import failures

TEMPLATE, MANIFEST = "template.yaml", "manifest.yaml"
EXAMPLE = Path("examples", "gastown")
"""The example service's folder in the project, with its template, manifest, stories, and tour."""
STORIES, TOUR = "stories.json", "tour.yaml"

_PACKAGED = Path(__file__).resolve().parent / "_project"


def find_project() -> Path:
    """Return the working folder or a parent that contains the gate, else this package's copy. Raises `Failure`."""
    for start in (Path.cwd(), _PACKAGED):
        for folder in (start, *start.parents):
            if (folder / TEMPLATE).is_file() and (folder / "functions" / "authorizer").is_dir():
                return folder
    raise failures.usage("template.yaml not found", "pass --project DIR")


def find_example() -> Path:
    """Return the example's folder. Raises `Failure` if the project has none."""
    folder = find_project() / EXAMPLE
    if not folder.is_dir():
        raise failures.usage(f"{folder} not found")
    return folder
