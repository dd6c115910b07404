"""The product knows no service: what a town is stands in examples/gastown, which one constant names."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
GUEST = re.compile(r"gastown|\btowns?\b|\brigs?\b|convoys?|molecules?|\bmayor\b", re.IGNORECASE)
PRODUCT = ("layers", "cli", "functions", "manifest.yaml", "setup.py")


def test_the_product_names_its_example_once() -> None:
    files = [file for name in PRODUCT for file in [ROOT / name, *(ROOT / name).rglob("*")] if file.is_file()]
    found = [
        f"{file.relative_to(ROOT)}: {line.strip()}"
        for file in files
        if file.suffix != ".pyc" and not {"_project", "node_modules"} & {*file.parts}
        for line in file.read_text(encoding="utf-8").splitlines()
        if GUEST.search(line)
    ]
    assert [line for line in found if "examples/gastown" not in line] == [
        'cli/headgate_cli/project.py: EXAMPLE = Path("examples", "gastown")'
    ]
