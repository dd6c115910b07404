"""A DynamoDB by moto in a process of its own, empty: the laptop mode's own server, started for a test alone."""

import contextlib
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator

from headgate_cli.local.aws import KEY_ID
from headgate_cli.local.declared import ACCOUNT_ID, REGION

CREDENTIALS = (KEY_ID, "any")
"""Access key id and secret of its clients. It answers every caller."""


@contextlib.contextmanager
def running_dynamodb() -> Iterator[str]:
    """Its URL, for as long as the block runs."""
    key_id, secret = CREDENTIALS
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
        url = "http://{}:{}".format(*listener.getsockname())
        process = subprocess.Popen(
            [sys.executable, "-m", "headgate_cli.local.moto_server", str(listener.fileno())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pass_fds=[listener.fileno()],
            env={
                "PATH": os.environ.get("PATH", os.defpath),
                "AWS_ACCESS_KEY_ID": key_id,
                "AWS_SECRET_ACCESS_KEY": secret,
                "AWS_CONFIG_FILE": os.devnull,
                "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
                "AWS_EC2_METADATA_DISABLED": "true",
                "MOTO_ACCOUNT_ID": ACCOUNT_ID,
            },
        )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        order = {"account": ACCOUNT_ID, "region": REGION, "dynamodb": "", "keys": [], "secrets": [], "tables": []}
        process.stdin.write(json.dumps(order).encode() + b"\n")
        process.stdin.flush()
        assert process.stdout.readline() == b"ready\n"
        yield url
    finally:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()
