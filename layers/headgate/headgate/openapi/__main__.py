"""`python -m headgate.openapi FOLDER`: write docs/openapi.json and manifest.schema.json, generated from the code."""

import json
import sys
from pathlib import Path

from headgate.openapi.document import document
from headgate.openapi.manifest import manifest_schema

WRITTEN = {"docs/openapi.json": document, "manifest.schema.json": manifest_schema}

if __name__ == "__main__":
    for name, made in WRITTEN.items():
        Path(sys.argv[1], name).write_text(json.dumps(made(), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
