"""From nothing to the first decision, beside the usual stack: `python tests/bench/bench_cold.py`.

Starts what is deployed (the layer and the functions by the make targets that `sam build` runs) under AWS's own runtime
client, with a first event waiting and a table that answers, and ends it. In turns with it: the same decision by a small
handler of the usual stack (Powertools, pydantic, PyJWT, boto3), and each of them not byte-compiled. Then ours with
botocore and with boto3, in pairs, for decision 0001. Needs `python3.13` on PATH, Lambda's version. Prints Markdown;
fails when a bar is missed.
"""

import asyncio
import contextlib
import io
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from cold.builds import (
    RUNTIME,
    build_ours,
    build_usual,
    build_with_boto3,
    compile_all,
    install,
    megabytes,
    not_compiled,
    python313,
)
from cold.runtime import Api, Start

ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT / "tests/support"))

from moto_child import running_dynamodb  # noqa: E402
from stand import Stand  # noqa: E402

from headgate_cli.local.addresses import listen, port_of, url_of  # noqa: E402
from headgate_cli.local.identity import IdentityProvider  # noqa: E402
from headgate_cli.local.serving import LocalServer  # noqa: E402

ROUNDS, PAIRS, IMPORTS = 11, 40, 15
FIRST_DECISION, IMPORT = 300, 120
"""Milliseconds: the bars, for ours as it is built. Held against the least of all runs: neighbours only add to it."""
EVENTS = {"authorizer": "authorizer.entry", "evaluate": "evaluate.single"}
EDGE = "import headgate.edge.authorizer, headgate.edge.credentials, headgate.edge.settings, headgate.edge.key_pool"
WITHOUT_STORE = f"{EDGE}; import sys; assert 'botocore' not in sys.modules"


@dataclass(frozen=True, slots=True)
class Contestant:
    """One build of one stack."""

    stack: str
    compiled: bool
    folder: Path


def main() -> int:
    """Build, start, print; 1 when a bar is missed."""
    python = python313()
    if python is None:
        print("skipped: no python3.13 on PATH, which is what Lambda runs")
        return 0
    with tempfile.TemporaryDirectory() as folder, running_dynamodb() as url:
        contestants, with_boto3, runtime = built(python, Path(folder))
        events, variables = asyncio.run(prepared(url))
        found = started(python, contestants, runtime, events, variables, ROUNDS)
        kept = show(contestants, found)
        pair = (contestants[0], with_boto3)
        show_pair(*pair, started(python, pair, runtime, events, variables, PAIRS))
        kept &= show_imports(python, contestants)
        show_layer(contestants[0].folder / "layer/python")
    return 0 if kept else 1


def built(python: str, folder: Path) -> tuple[list[Contestant], Contestant, Path]:
    """Each stack, byte-compiled and not; ours by boto3; AWS's runtime client, which Lambda brings along compiled."""
    names = ("ours", "usual", "ours-plain", "usual-plain", "ours-boto3", "runtime")
    ours, usual, ours_plain, usual_plain, ours_boto3, runtime = (folder / name for name in names)
    ours.mkdir()
    build_ours(ours)
    build_usual(python, usual)
    install(python, runtime, *RUNTIME)
    compile_all(python, runtime)
    contestants = [
        Contestant("Headgate", True, ours),
        Contestant("Headgate", False, not_compiled(ours, ours_plain)),
        Contestant("the usual stack", True, usual),
        Contestant("the usual stack", False, not_compiled(usual, usual_plain)),
    ]
    return contestants, Contestant("Headgate with boto3", True, build_with_boto3(python, ours, ours_boto3)), runtime


async def prepared(endpoint: str) -> tuple[dict[str, Any], dict[str, str]]:
    """A table with the reference manifest; events with an admin's token for it; the functions' environment."""
    listener = listen(0)
    provider = IdentityProvider(url_of(listener), "example", "https://gate.example.com")
    server = LocalServer([listener], {port_of(listener): provider.app})
    await server.start()
    before = dict(os.environ)
    try:
        stand = Stand(endpoint, url_of(listener), provider.id_token({"sub": "ada", "admin": True}))
        with contextlib.redirect_stdout(io.StringIO()):  # the functions' logs
            await asyncio.to_thread(stand.renew)
        variables = {name: value for name, value in os.environ.items() if name.startswith("HEADGATE_")}
    finally:
        os.environ.clear()
        os.environ.update(before)
        await server.stop()
    events = {name: stand.event(file) for name, file in EVENTS.items()}
    return events, {
        **variables,
        "HEADGATE_ISSUER": f"https://{events['authorizer']['requestContext']['domainName']}",
        "AWS_ENDPOINT_URL": endpoint,
    }


def started(
    python: str,
    contestants: Sequence[Contestant],
    runtime: Path,
    events: Mapping[str, Any],
    variables: Mapping[str, str],
    rounds: int,
) -> dict[tuple[str, Contestant], list[Start]]:
    """Every contestant's cold starts, in turns, each second round backwards; the first only warms the file cache."""
    found: dict[tuple[str, Contestant], list[Start]] = {}
    api = Api()
    for round_ in range(rounds + 1):
        for function, event in events.items():
            for contestant in contestants[:: -1 if round_ % 2 else 1]:
                task = contestant.folder / function
                path = os.pathsep.join(map(str, (task, contestant.folder / "layer/python", runtime)))
                every = {**lambda_variables(function, task), **variables, "PYTHONPATH": path}
                command = (python, "-S", "-P", "-m", "awslambdaric", "app.handler")
                start = api.cold_start(command, every, task, event)
                check(function, start.answer)
                if round_:
                    found.setdefault((function, contestant), []).append(start)
    api.shutdown()
    return found


def lambda_variables(function: str, task: Path) -> dict[str, str]:
    """What Lambda sets. Its folders cannot be written to, so nothing compiles itself for the next start."""
    return {
        "PATH": os.defpath, "LANG": "en_US.UTF-8", "TZ": ":UTC", "PYTHONDONTWRITEBYTECODE": "1",
        "LAMBDA_TASK_ROOT": str(task), "_HANDLER": "app.handler", "AWS_LAMBDA_FUNCTION_NAME": function,
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512",
        "AWS_REGION": "us-east-1", "AWS_DEFAULT_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local", "AWS_EC2_METADATA_DISABLED": "true", "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull, "AWS_XRAY_DAEMON_ADDRESS": "127.0.0.1:2000",
    }  # fmt: skip


def check(function: str, answer: Any) -> None:
    """Whoever answers wrong is not timed."""
    if function == "authorizer":
        assert answer["isAuthorized"] is True, answer
    else:
        assert answer["statusCode"] == 200, answer
        assert json.loads(answer["body"])["value"] is True, answer


# -- telling


def show(contestants: list[Contestant], found: Mapping[tuple[str, Contestant], list[Start]]) -> bool:
    """The table of starts; whether ours is within its bar."""
    print(
        "| cold start to first decision, ms | byte-compiled | init | least | median | most | processor | times ours |"
    )
    print("|---|---|--:|--:|--:|--:|--:|--:|")
    kept = True
    for function in EVENTS:
        ours = median(start.answered for start in found[function, contestants[0]])
        for contestant in contestants:
            starts = found[function, contestant]
            took = sorted(start.answered for start in starts)
            init, processor = (median(values) for values in zip(*((s.init, s.processor) for s in starts), strict=True))
            print(f"| {function}, {contestant.stack} | {'yes' if contestant.compiled else 'no'} | {init:.0f} "
                  f"| {took[0]:.0f} | {median(took):.0f} | {took[-1]:.0f} | {processor:.0f} "
                  f"| {median(took) / ours:.2f} |", flush=True)  # fmt: skip
        least = min(start.answered for start in found[function, contestants[0]])
        kept &= bar(f"{function}: first decision, least", least, FIRST_DECISION)
    return kept


def show_pair(botocore: Contestant, boto3: Contestant, found: Mapping[tuple[str, Contestant], list[Start]]) -> None:
    """What boto3 adds to botocore, round by round. Decision 0001 takes boto3 where that is less than 10 ms."""
    print("| the store's client, ms | botocore, median | boto3, median | boto3 adds, median | middle half | times |")
    print("|---|--:|--:|--:|--:|--:|")
    for function in EVENTS:
        starts = found[function, botocore], found[function, boto3]
        for what in ("answered", "processor"):
            ones, others = ([getattr(start, what) for start in every] for every in starts)
            added = [other - one for one, other in zip(ones, others, strict=True)]
            low, middle, high = quantiles(added, n=4)
            times = median(other / one for one, other in zip(ones, others, strict=True))
            name = "first decision" if what == "answered" else what
            print(f"| {function}, {name} | {median(ones):.0f} | {median(others):.0f} | {middle:+.1f} "
                  f"| {low:+.1f} to {high:+.1f} | {times:.2f} |", flush=True)  # fmt: skip


def show_imports(python: str, contestants: list[Contestant]) -> bool:
    """What a process takes that imports the authorizer without its store client; whether that is within its bar."""
    for contestant in contestants[:2]:
        env = {
            "PATH": os.defpath,
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONPATH": str(contestant.folder / "layer/python"),
        }
        took, bare = ([timed((python, "-S", "-P", "-c", code), env) for _ in range(IMPORTS)]
                      for code in (WITHOUT_STORE, "pass"))  # fmt: skip
        what = "compiled" if contestant.compiled else "not compiled"
        print(f"imports of the authorizer without the store client, {what}: {min(took):.0f} to {max(took):.0f}, median "
              f"{median(took):.0f} ms; the interpreter alone {median(bare):.0f} ms")  # fmt: skip
        if contestant.compiled:
            kept = bar("imports, least", min(took), IMPORT)
    return kept


def timed(command: tuple[str, ...], env: Mapping[str, str]) -> float:
    """Milliseconds that a process takes."""
    began = time.perf_counter()
    subprocess.run(command, check=True, env=env)
    return (time.perf_counter() - began) * 1e3


def bar(name: str, measured: float, most: float) -> bool:
    """Say whether it is within the bar."""
    print(f"{name}: {measured:.0f} ms, bar {most:.0f} ms: {'met' if measured <= most else 'MISSED'}")
    return measured <= most


def show_layer(layer: Path) -> None:
    """What the layer holds."""
    services = sorted(folder.name for folder in (layer / "botocore/data").iterdir() if folder.is_dir())
    compiled = list(layer.rglob("*.cpython-313.pyc"))
    sources = list(layer.rglob("*.py"))
    unchecked = sum(file.read_bytes()[4:8] == b"\x01\x00\x00\x00" for file in compiled)
    whole, data = megabytes(layer), megabytes(layer / "botocore/data")
    print(f"the layer: {whole:.1f} MB unpacked, of these botocore's data {data:.1f} (only {', '.join(services)})")
    print(
        f"{len(compiled)} of {len(sources)} modules byte-compiled, {unchecked} of them trusted by hash, never checked"
    )


if __name__ == "__main__":
    sys.exit(main())
