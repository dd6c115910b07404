"""Load at a fixed rate on a laptop stack, where each function is a process behind the Runtime API (`make load`).

Prints the latency of each kind of request, errors, and the memory of each process at the start and at the end. It fails
on any error. The functions share this machine's processor with Locust and moto: it shows that nothing fails or leaks
under lasting load, and where time goes here. It says nothing about AWS's latencies.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

sys.path.append(str(Path(__file__).parents[2] / "support"))

from running_gate import Gate

from headgate_cli.local.stack import running_stack

HERE = Path(__file__).parent
VISITORS = 20
WARM_SECONDS = 20.0
"""Memory is measured first after this time, when every environment has loaded everything."""
PAGE = os.sysconf("SC_PAGE_SIZE")


def main(arguments: Sequence[str]) -> int:
    """Run the load and print what it did."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=float, default=60, help="requests per second")
    parser.add_argument("--seconds", type=int, default=120)
    options = parser.parse_args(arguments)
    with running_stack(manifest=HERE.parents[2] / "manifest.yaml") as stack:
        gate = Gate(stack.ready)
        gate.stage("access", "ga")
        gate.stage("beta", "allowlist")
        environment = {
            **os.environ, "HEADGATE_READY": json.dumps(dict(stack.ready)),
            "HEADGATE_RATE_EACH": str(options.rate / VISITORS),
            "PYTHONPATH": str(HERE.parents[1] / "support"),
        }  # fmt: skip
        command = [sys.executable, "-m", "locust", "-f", str(HERE / "users.py"), "--headless", "--json",
                   "--only-summary", "--users", str(VISITORS + 1), "--spawn-rate", "10",
                   "--run-time", f"{options.seconds}s", "--exit-code-on-error", "0", "--loglevel", "ERROR"]  # fmt: skip
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as locust:
            time.sleep(min(WARM_SECONDS, options.seconds / 2))
            before = memory(stack.process.pid)
            assert locust.stdout is not None
            told = locust.stdout.read()
        after = memory(stack.process.pid)
    return shown(json.loads(told), before, after, options.seconds)


def memory(root: int) -> dict[str, int]:
    """The resident bytes of a process and of all below it, by what they run."""
    children: dict[int, list[int]] = {}
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            try:
                parent = int((process / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:  # it ended
                continue
            children.setdefault(parent, []).append(int(process.name))
    return dict(named(below(root, children)))


def below(root: int, children: dict[int, list[int]]) -> Iterator[int]:
    """A process and all that it started."""
    yield root
    for child in children.get(root, []):
        yield from below(child, children)


def named(processes: Iterator[int]) -> Iterator[tuple[str, int]]:
    """Each process's name and memory."""
    for number in processes:
        folder = Path("/proc", str(number))
        pages = int((folder / "statm").read_text().split()[1])
        function = Path(os.readlink(folder / "cwd")).name
        yield f"{function} {number}", pages * PAGE


def shown(rows: list[dict[str, object]], before: dict[str, int], after: dict[str, int], seconds: int) -> int:
    """Print the tables. Return 1 if a request failed or none was sent."""
    print(f"Python {platform.python_version()}, {os.cpu_count()} cores, {seconds} s\n")
    print("| request | sent | a second | errors | p50, ms | p95, ms | p99, ms |\n|---|--:|--:|--:|--:|--:|--:|")
    failed = 0
    for row in sorted(rows, key=lambda row: str(row["name"])):
        times = {float(ms): int(number) for ms, number in dict(row["response_times"]).items()}  # type: ignore[call-overload]
        sent, errors = int(str(row["num_requests"])), int(str(row["num_failures"]))
        failed += errors
        shares = " | ".join(f"{percentile(times, share):.0f}" for share in (0.5, 0.95, 0.99))
        print(f"| {row['name']} | {sent:,} | {sent / seconds:.1f} | {errors} | {shares} |")
    print("\n| process | MB after warming up | MB at the end |\n|---|--:|--:|")
    for name in sorted(before.keys() & after.keys()):
        print(f"| {name.rpartition(' ')[0]} | {before[name] / 1e6:.1f} | {after[name] / 1e6:.1f} |")
    return 1 if failed or not rows else 0


def percentile(times: dict[float, int], share: float) -> float:
    """The time that this share of requests does not exceed."""
    left = share * sum(times.values())
    for took in sorted(times):
        left -= times[took]
        if left <= 0:
            return took
    return max(times, default=0.0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
