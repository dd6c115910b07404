"""Run a command together with AWS's DynamoDB Local: `<folder of the package> <command…>`.

DynamoDB Local listens on every interface but must not be reachable from outside: it is started only if there
is no interface but loopback (`unshare --net`). The command gets its URL in HEADGATE_TEST_DYNAMODB.
"""

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

PATIENCE = 60.0
"""Seconds within which it must answer."""


def main(package: Path, command: list[str]) -> int:
    """Return the exit code of the command."""
    interfaces = [name for _index, name in socket.if_nameindex()]
    if interfaces != ["lo"]:
        sys.exit("not started: DynamoDB Local would listen on " + ", ".join(interfaces))
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    (archive,) = package.glob("**/DynamoDBLocal.jar")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    options = ["-inMemory", "-sharedDb", "-disableTelemetry", "-port", str(port)]
    java = ["java", f"-Djava.library.path={archive.parent}/DynamoDBLocal_lib", "-jar", str(archive)]
    server = subprocess.Popen([*java, *options], stdout=subprocess.DEVNULL)
    try:
        _await(port)
        environment = {**os.environ, "HEADGATE_TEST_DYNAMODB": f"http://127.0.0.1:{port}"}
        return subprocess.run(command, env=environment, check=False).returncode
    finally:
        server.kill()
        server.wait()


def _await(port: int) -> None:
    until = time.monotonic() + PATIENCE
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1.0).close()
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.1)
        else:
            return


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
