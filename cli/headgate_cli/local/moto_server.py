"""Serves DynamoDB and KMS by moto on a socket that the runner opened, and makes the tables and keys that it is told of.

A process of its own (`python -m headgate_cli.local.moto_server FD`): the first line of its standard input is the
order, a line on its standard output says that all is there, and it ends when its standard input closes. Requests are
answered one at a time: moto's writers take no lock (measured: 48 winners of 40 in a race of transactions). It must not
know Headgate.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import threading
from collections.abc import Iterable
from typing import Any


def main() -> None:
    """Read the order, create what it names, serve until standard input closes."""
    listener = socket.socket(fileno=int(sys.argv[1]))
    order = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with_the_runner, daemon=True).start()
    endpoint = "http://{}:{}".format(*listener.getsockname())
    make_keys(order["keys"], order["account"], order["region"])
    server = make_server(listener)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    make_tables(order["tables"], order["dynamodb"] or endpoint, order["region"])
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    threading.Event().wait()


def make_keys(keys: Iterable[dict[str, str]], account: str, region: str) -> None:
    """Create KMS keys under ids that the runner chose, so that the functions can start before this server does."""
    from moto.kms.models import kms_backends

    backend = kms_backends[account][region]
    for spec in keys:
        key = backend.create_key(None, spec["usage"], spec["spec"], "", None)
        del backend.keys[key.id]
        key.id, key.arn = spec["id"], key.arn.replace(key.id, spec["id"])
        backend.keys[key.id] = key


def make_server(listener: socket.socket) -> Any:
    """A threaded HTTP/1.1 server in front of moto, with one lock around the whole of moto."""
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
    from werkzeug.serving import make_server as make_werkzeug_server

    class Handler(MotoRequestHandler):
        protocol_version = "HTTP/1.1"  # connections are kept
        disable_nagle_algorithm = True
        wbufsize = 65536  # head and body leave in one packet

        def log_request(self, *_: object) -> None:
            """Say nothing."""

    moto = DomainDispatcherApplication(create_backend_app)
    lock = threading.Lock()

    def one_at_a_time(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        with lock:
            answer = moto(environ, start_response)
            try:
                return list(answer)
            finally:
                if hasattr(answer, "close"):
                    answer.close()

    host, port = listener.getsockname()
    return make_werkzeug_server(host, port, one_at_a_time, threaded=True, request_handler=Handler, fd=listener.fileno())


def make_tables(tables: Iterable[dict[str, Any]], endpoint: str, region: str) -> None:
    """Create the tables that the endpoint does not have yet."""
    import botocore.session
    from botocore.config import Config

    client: Any = botocore.session.get_session().create_client(
        "dynamodb", region_name=region, endpoint_url=endpoint, config=Config(retries={"mode": "standard"})
    )
    present = set(client.list_tables()["TableNames"])
    for table in tables:
        if table["name"] in present:
            continue
        client.create_table(TableName=table["name"], **table["definition"])
        client.get_waiter("table_exists").wait(TableName=table["name"], WaiterConfig={"Delay": 1})
        if table["ttl"]:
            client.update_time_to_live(
                TableName=table["name"],
                TimeToLiveSpecification={"Enabled": True, "AttributeName": table["ttl"]},
            )


def _end_with_the_runner() -> None:
    while os.read(0, 1024):
        pass
    os._exit(0)


if __name__ == "__main__":
    main()
