"""Finds the files that the command serves and shows: templates, manifests, functions, the example service.

In a checkout they lie in the project's folder; the wheel carries a copy inside of this package (`setup.py`).
"""

from pathlib import Path

from headgate_cli import failures

TEMPLATE, MANIFEST = "template.yaml", "manifest.yaml"
EXAMPLE = Path("examples", "gastown")
"""The example service, in the project: its template, its manifest, its stories and its tour."""
STORIES, TOUR = "stories.json", "tour.yaml"

_PACKAGED = Path(__file__).resolve().parent / "_project"


def find_project() -> Path:
    """The working folder or one above it that holds the gate, else this package's own. Raises `Failure`."""
    for start in (Path.cwd(), _PACKAGED):
        for folder in (start, *start.parents):
            if (folder / TEMPLATE).is_file() and (folder / "functions" / "authorizer").is_dir():
                return folder
    raise failures.usage("template.yaml was not found", "pass --project DIR")


def find_example() -> Path:
    """The example's folder. Raises `Failure` where the project has none."""
    folder = find_project() / EXAMPLE
    if not folder.is_dir():
        raise failures.usage(f"{folder} was not found")
    return folder
