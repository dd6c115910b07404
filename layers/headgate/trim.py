"""Trim botocore's data to what a cold start needs. The build runs `python3 trim.py <botocore/data> <service>…`.

Keep only the named services of about 400, in the models and in the endpoint table. Drop the documentation from each
model and store it uncompressed. This saves a cold start 65 ms (docs/benchmarks.md).
"""

import gzip
import json
import shutil
import sys
from pathlib import Path
from typing import Any


def main() -> None:
    """Trim the folder in place."""
    data, kept = Path(sys.argv[1]), frozenset(sys.argv[2:])
    for folder in data.iterdir():
        if folder.is_dir() and folder.name not in kept:
            shutil.rmtree(folder)
    for model in data.rglob("service-2.json.gz"):
        write(model.with_suffix(""), undocumented(json.loads(gzip.decompress(model.read_bytes()))))
        model.unlink()
    table = json.loads((data / "endpoints.json").read_bytes())
    for partition in table["partitions"]:
        partition["services"] = {name: found for name, found in partition["services"].items() if name in kept}
    write(data / "endpoints.json", table)


def undocumented(value: Any) -> Any:
    """Return the value without its `documentation` texts. A shape's member of that name is an object and stays."""
    if isinstance(value, dict):
        return {
            name: undocumented(inner)
            for name, inner in value.items()
            if name != "documentation" or not isinstance(inner, str)
        }
    return [undocumented(inner) for inner in value] if isinstance(value, list) else value


def write(file: Path, value: Any) -> None:
    """Write the value as JSON without whitespace."""
    file.write_text(json.dumps(value, separators=(",", ":")))


if __name__ == "__main__":
    main()
