"""Write both templates as CloudFormation gets them: `python expand.py FOLDER` (`make lint-policies`)."""

import json
import sys
from pathlib import Path

from template_checks.deployment import EXAMPLE, TEMPLATE, Deployment, read_source

folder = Path(sys.argv[1])
folder.mkdir(parents=True, exist_ok=True)
for name, template in (("gate", TEMPLATE), ("example", EXAMPLE)):
    (folder / f"{name}.json").write_text(json.dumps(Deployment(read_source(template)).expanded, indent=1))
