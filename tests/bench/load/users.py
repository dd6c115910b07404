"""What Locust sends to a laptop stack: visitors at a fixed rate, and one operator who changes a list.

The visitors' tokens are minted as they arrive, and again before they expire. Run by `run.py`.
"""

import json
import os
import time
from itertools import count
from typing import Any

from locust import FastHttpUser, constant_throughput, task
from running_gate import Gate, Person
from running_gate.gate import GRANT, ID_TOKEN

READY: dict[str, Any] = json.loads(os.environ["HEADGATE_READY"])
EACH = float(os.environ["HEADGATE_RATE_EACH"])
"""Requests a second of one visitor. A slow answer delays the next request, so the rate is a maximum."""
TOKEN_LIFE = 240.0
"""Seconds until a visitor exchanges again: below the 300 of an evaluation token."""
FLAG = "beta"


class Visitor(FastHttpUser):
    """One person with a browser: mostly guarded requests, some evaluations, now and then a token."""

    host = READY["api"]
    wait_time = constant_throughput(EACH)
    weight = 1

    def on_start(self) -> None:
        """Sign in."""
        self.gate, self.person, self.minted = Gate(READY), Person(), float("-inf")
        self.renew()

    def renew(self) -> None:
        """Exchange an identity token, if the last token is old."""
        if time.monotonic() - self.minted < TOKEN_LIFE:
            return
        form = {"grant_type": GRANT, "subject_token": self.gate.id_token(self.person), "subject_token_type": ID_TOKEN}
        with self.client.post("/v1/token", data=form, name="exchange", catch_response=True) as answer:
            self.headers = {"authorization": f"Bearer {answer.json()['access_token']}"}
        self.minted = time.monotonic()

    @task(6)
    def observed(self) -> None:
        """A guarded request that needs no live decision."""
        self.renew()
        self.client.get("/whoami", headers=self.headers, name="guarded, no live decision")

    @task(2)
    def entered(self) -> None:
        """A guarded request with a live decision."""
        self.renew()
        self.client.get("/decision", headers=self.headers, name="guarded, live decision")

    @task(2)
    def evaluated(self) -> None:
        """All flags, over OFREP."""
        self.renew()
        self.client.post("/ofrep/v1/evaluate/flags", json={}, headers=self.headers, name="evaluate, all flags")


class Operator(FastHttpUser):
    """Adds a user to an allowlist and removes it again, every ten seconds: each change renews everyone's rules."""

    host = READY["api"]
    wait_time = constant_throughput(0.1)
    fixed_count = 1

    def on_start(self) -> None:
        """Begin with an addition."""
        self.gate, self.turns = Gate(READY), count()

    @task
    def change(self) -> None:
        """One signed change."""
        began = time.perf_counter()
        act = self.gate.allow if next(self.turns) % 2 == 0 else self.gate.disallow
        fault: Exception | None = None
        try:
            act(FLAG, users=["the-pilot"])
        except AssertionError as error:
            fault = error
        took = (time.perf_counter() - began) * 1_000
        self.environment.events.request.fire(
            request_type="POST",
            name="admin, a list (two calls)",
            response_time=took,
            response_length=0,
            exception=fault,
        )
