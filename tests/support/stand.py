"""The functions on fresh moto tables behind a real socket, called with events as API Gateway sends them."""

import importlib.util
import json
import os
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from string import Template
from typing import Any

import botocore.session
import yaml

ROOT = Path(__file__).parents[2]
KEYS = {"KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        "AttributeDefinitions": [{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")],
        "BillingMode": "PAY_PER_REQUEST"}  # fmt: skip

Handler = Callable[[dict[str, Any], None], dict[str, Any]]


class Stand:
    """Changes the process's environment variables; the creator must restore them (the fixture `stand` does)."""

    def __init__(self, endpoint: str, issuer: str, id_token: str) -> None:
        session = botocore.session.get_session()
        session.set_credentials("local", "local")
        keys: Any = session.create_client("kms", region_name="us-east-1", endpoint_url=endpoint)
        made = [
            str(keys.create_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")["KeyMetadata"]["KeyId"])
            for _ in range(4)
        ]
        trusted = [{"issuer": issuer, "audience": ["example"], "algorithms": ["ES256"], "claims": {"admin": "admin"}}]
        self._tables: Any = session.create_client("dynamodb", region_name="us-east-1", endpoint_url=endpoint)
        self._count = 0
        self.is_fresh = False
        self._environment = {
            "AWS_ENDPOINT_URL": endpoint, "AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local",
            "AWS_DEFAULT_REGION": "us-east-1", "HEADGATE_AUDIENCE": "headgate",
            "HEADGATE_IDENTITY_ISSUERS": json.dumps(trusted),
            "HEADGATE_SIGNING_KEYS": ",".join(made[:3]), "HEADGATE_AUDIT_KEY": made[3],
        }  # fmt: skip
        self._tokens = {"ID_TOKEN": id_token}

    def renew(self) -> None:
        """Create a fresh table with the example manifest, restart the functions, and get an admin's access token."""
        self._count += 1
        self.is_fresh = True
        name = f"headgate-{uuid.uuid4()}"  # moto keeps its tables until the process ends
        self._tables.create_table(TableName=name, **KEYS)
        os.environ.update(self._environment, HEADGATE_TABLE=name)
        self.start()
        manifest = yaml.safe_load((ROOT / "examples/gastown/manifest.yaml").read_text())
        answer = self.admin("POST /admin/v1/manifest", {**manifest, "reason": "for the test"})
        assert answer["statusCode"] == 200
        minted = self.replay("token.exchange")
        self._tokens["ACCESS_TOKEN"] = json.loads(minted["body"])["access_token"]

    def start(self) -> None:
        """Restart the functions on the same table, as cold execution environments."""
        self.handlers = {
            name: load_handler(ROOT / "functions" / name)
            for name in ("token", "evaluate", "authorizer", "admin", "worker")
        }
        self.handlers["kill"] = self.handlers["admin"]

    def admin(self, route: str, body: Any, *, key: str | None = None, headers: Mapping[str, str] | None = None) -> Any:
        """Send an admin call with a signed caller's context."""
        self._count += 1
        event = json.loads((ROOT / "events/admin.apply.json").read_text())
        event["routeKey"] = event["requestContext"]["routeKey"] = route
        event["requestContext"]["requestId"] = f"call-{self._count}"
        event["pathParameters"] = {"key": key}
        event["headers"] |= {"idempotency-key": f"call-{self._count}", **(headers or {})}
        event["body"] = json.dumps(body)
        return self.handlers["admin"](event, None)

    def replay(self, name: str) -> dict[str, Any]:
        """Send the event of a file and return the function's answer."""
        return self.handlers[name.partition(".")[0]](self.event(name), None)

    def event(self, name: str) -> dict[str, Any]:
        """The event of a file with tokens filled in."""
        text = (ROOT / "events" / f"{name}.json").read_text()
        filled = Template(text.replace("$default", "$$default")).substitute(self._tokens)
        event: dict[str, Any] = json.loads(filled)
        return event


def load_handler(folder: Path) -> Handler:
    """Load the handler of a function's folder from scratch, with this process's environment."""
    spec = importlib.util.spec_from_file_location(f"{folder.name.replace('-', '_')}_app", folder / "app.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    handler: Handler = module.handler
    return handler
