"""The worker's handler on DynamoDB over a socket: moto's server, one request at a time."""

import importlib.util
import sys
import threading
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import botocore.session
import pytest
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import make_server

sys.path.insert(0, str(Path(__file__).parent))
GASTOWN = Path(__file__).parents[3] / "examples" / "gastown"
sys.path.insert(0, str(GASTOWN))  # as on Lambda

from worker_calls.requests import Person, Reply, make_event, read  # noqa: E402 - it lies beside this file

TABLE = "worker"
ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "local",
    "AWS_SECRET_ACCESS_KEY": "local-only",
    "AWS_REGION": "us-east-1",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": "/dev/null",
    "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
    "GASTOWN_TABLE": TABLE,
}


@pytest.fixture(scope="module")  # not longer: what other tests start must not inherit it
def environment() -> Iterator[dict[str, str]]:
    """The function's environment variables, with DynamoDB at moto's URL."""
    backend = DomainDispatcherApplication(create_backend_app)
    one_at_a_time = threading.Lock()  # moto does not lock: two writers could pass one condition

    def serial(environ: Any, start_response: Any) -> list[bytes]:
        with one_at_a_time:
            return list(backend(environ, start_response))

    server = make_server("127.0.0.1", 0, serial, threaded=True, request_handler=MotoRequestHandler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    variables = ENVIRONMENT | {"AWS_ENDPOINT_URL_DYNAMODB": f"http://127.0.0.1:{server.server_port}"}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(name, value)
        yield variables
    server.shutdown()
    thread.join()


@pytest.fixture(scope="module", autouse=True)
def table(environment: dict[str, str]) -> None:
    """A fresh table for each file, as the template declares it: moto's transactions slow down as a table grows.

    The client allows for moto's first answers, which take a second.
    """
    urlopen(Request(environment["AWS_ENDPOINT_URL_DYNAMODB"] + "/moto-api/reset", method="POST")).close()  # noqa: S310
    api: Any = botocore.session.get_session().create_client("dynamodb")
    api.create_table(
        TableName=TABLE,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
    )
    key = {"pk": {"S": "warm"}, "sk": {"S": "up"}}
    api.transact_write_items(TransactItems=[{"Put": {"TableName": TABLE, "Item": key}}])
    api.delete_item(TableName=TABLE, Key=key)


@pytest.fixture(scope="module")
def handler(environment: dict[str, str]) -> Callable[[dict[str, Any], Any], dict[str, Any]]:
    """The handler of examples/gastown/app.py, loaded once per file, as Lambda does per environment."""
    spec = importlib.util.spec_from_file_location("gastown_app", GASTOWN / "app.py")
    assert spec is not None
    assert spec.loader is not None
    app = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(app)
    found: Callable[[dict[str, Any], Any], dict[str, Any]] = app.handler
    return found


@pytest.fixture
def call(handler: Callable[[dict[str, Any], Any], dict[str, Any]]) -> Callable[..., Reply]:
    """Send a request as `person`: `call(alice, "POST /api/towns/{town}/rigs", town=id, body={...}, asks={...})`."""

    def send(
        person: Person, key: str, *, body: Any = None, asks: dict[str, bool] | None = None,
        query: dict[str, str] | None = None, **named: str,
    ) -> Reply:  # fmt: skip
        reply = read(handler(make_event(person, key, named, body=body, asks=asks, query=query), None))
        assert reply.headers["x-headgate-revision"] == str(person.revision)
        return reply

    return send


@pytest.fixture
def alice() -> Person:
    """A new subject for each test, so that tests share only a table."""
    return Person(f"alice-{uuid.uuid4()}")


@pytest.fixture
def town(call: Callable[..., Reply], alice: Person) -> str:
    """A town of alice's."""
    return str(call(alice, "POST /api/users/{user}/towns", user=alice.name, body={"name": "Ponderosa"}).body["id"])
