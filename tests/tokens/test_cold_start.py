"""What a fresh process imports: the authorizer must not load what only minting needs."""

import json
import subprocess
import sys
from pathlib import Path

import headgate


def loaded_by(statement: str) -> set[str]:
    """The modules that one statement loads in a fresh interpreter."""
    script = f"import sys\n{statement}\nimport json\nprint(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-S", "-c", _with_path(script)], capture_output=True, check=True, text=True)
    return set(json.loads(done.stdout))


def _with_path(script: str) -> str:
    """Run without `site`, whose imports would hide ours."""
    layer = str(Path(headgate.__file__).parent.parent)
    return f"import sys\nsys.path[:] = {[*sys.path, layer]!r}\n{script}"


def test_verification_loads_neither_pyjwt_nor_network_modules() -> None:
    loaded = loaded_by("import headgate.tokens.verify, headgate.tokens.keys, headgate.tokens.claims")
    heavy = ("jwt", "ssl", "http.client", "urllib.request", "socket", "secrets")
    assert not loaded & set(heavy)
    assert not {name for name in loaded if name.startswith(("cryptography.x509", "botocore", "pydantic"))}
    assert "cryptography.hazmat.primitives.serialization" not in loaded
    assert not {name for name in loaded if name.startswith(("headgate.store", "headgate.edge"))}


def test_issuing_loads_no_more_than_verification() -> None:
    loaded = loaded_by("import headgate.tokens.issue")
    assert not loaded & {"jwt", "ssl", "http.client", "cryptography.hazmat.primitives.serialization"}


def test_only_identity_verification_loads_pyjwt() -> None:
    assert "jwt" in loaded_by("import headgate.tokens.identity")
