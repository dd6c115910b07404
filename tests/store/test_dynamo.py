"""DynamoDB over real sockets that refuse, hang, throttle, or answer nonsense: every call fails in time."""

import contextlib
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from headgate.store.dynamo import REQUEST_BUDGET, REQUEST_PATH, DynamoTable, client
from headgate.store.port import ConditionFailed, Contended, InvalidWrite, Put, Throttled, Unavailable
from headgate.store.snapshots import Snapshots, Standing

NewTable = Callable[..., DynamoTable]
KEY, OTHER = ("head", "head"), ("rules", "profile")
BOUND = 1.5
"""Seconds: the budget of 1, the rest of an attempt that began within it (0.2), and a margin for a busy machine."""
READS: dict[str, Callable[[DynamoTable], Any]] = {
    "get": lambda table: table.get([KEY]),
    "get of two": lambda table: table.get([KEY, OTHER]),
    "query": lambda table: table.query("rules"),
}
EVERY_READ = pytest.mark.parametrize("read", READS.values(), ids=READS.keys())


@pytest.fixture(scope="module")
def table_at() -> Iterator[NewTable]:
    """A table as the functions create it, at a local port."""
    with pytest.MonkeyPatch.context() as patch, contextlib.ExitStack() as stack:
        patch.setenv("AWS_ACCESS_KEY_ID", "AKIALOCAL")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "local-only")
        patch.setenv("AWS_DEFAULT_REGION", "eu-central-1")

        def make(port: int, budget: float = REQUEST_BUDGET) -> DynamoTable:
            patch.setenv("AWS_ENDPOINT_URL_DYNAMODB", f"http://127.0.0.1:{port}")
            api = client("dynamodb", **REQUEST_PATH)
            stack.callback(api.close)
            return DynamoTable("t", api, budget=budget)

        yield make


def timed(act: Callable[[], Any], raised: type[Exception]) -> float:
    """Seconds until the call raised."""
    started = time.perf_counter()
    with pytest.raises(raised):
        act()
    return time.perf_counter() - started


# -- no server


@pytest.fixture
def closed_port() -> int:
    """A port without a listener."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@pytest.fixture
def hanging_port() -> Iterator[int]:
    """A port that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        yield int(listener.getsockname()[1])


@pytest.fixture
def full_port() -> Iterator[int]:
    """A port that accepts no connections: its queue is full."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        port = int(listener.getsockname()[1])
        for _ in range(4):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                filler.connect(("127.0.0.1", port))
        yield port


@EVERY_READ
def test_a_refused_connection_is_unavailable_in_time(
    table_at: NewTable, closed_port: int, read: Callable[[DynamoTable], Any]
) -> None:
    table = table_at(closed_port)
    assert timed(lambda: read(table), Unavailable) < BOUND


@EVERY_READ
def test_a_server_that_never_answers_is_unavailable_in_time(
    table_at: NewTable, hanging_port: int, read: Callable[[DynamoTable], Any]
) -> None:
    table = table_at(hanging_port)
    took = timed(lambda: read(table), Unavailable)
    assert REQUEST_PATH["read_timeout"] <= took < BOUND


@EVERY_READ
def test_a_server_that_accepts_no_connection_is_unavailable_in_time(
    table_at: NewTable, full_port: int, read: Callable[[DynamoTable], Any]
) -> None:
    table = table_at(full_port)
    assert timed(lambda: read(table), Unavailable) < BOUND


def test_a_write_is_attempted_once(table_at: NewTable, closed_port: int, hanging_port: int) -> None:
    """The record decides what to do after an unanswered write."""
    put = Put({"pk": "a", "sk": "b"}, absent=True)
    refusing, hanging = table_at(closed_port), table_at(hanging_port)
    assert timed(lambda: refusing.write([put]), Unavailable) < BOUND
    assert timed(lambda: hanging.write([put]), Unavailable) < 2 * REQUEST_PATH["read_timeout"]


def test_in_an_outage_a_warm_environment_waits_one_budget_then_no_more(table_at: NewTable, hanging_port: int) -> None:
    """The breaker: the first refresh waits; refreshes in the next 1.5 s do not."""
    snapshots = Snapshots(table_at(hanging_port))
    started = time.perf_counter()
    assert snapshots.soft().standing is Standing.EXPIRED
    first = time.perf_counter() - started
    assert first < BOUND
    started = time.perf_counter()
    for _ in range(100):
        assert snapshots.soft().standing is Standing.EXPIRED
    assert time.perf_counter() - started < 0.1


# -- a server with fixed answers


class Answers:
    """A server that gives every request one answer: status and body, or a function of the request's JSON."""

    def __init__(self) -> None:
        self.reply: Any = (200, {})
        self.operations: list[str] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
                outer.operations.append(self.headers["x-amz-target"].rpartition(".")[2])
                status, body, *headers = outer.reply(asked) if callable(outer.reply) else outer.reply
                raw = body if isinstance(body, bytes) else json.dumps(body).encode()
                self.send_response(status)
                self.send_header("content-type", "application/x-amz-json-1.0")
                for name, value in headers or [("content-length", str(len(raw)))]:
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(raw)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture(scope="module")
def server() -> Iterator[Answers]:
    with contextlib.closing(Answers()) as server:
        yield server


@pytest.fixture
def answers(server: Answers) -> Answers:
    server.operations.clear()
    return server


@pytest.fixture(scope="module")
def table(table_at: NewTable, server: Answers) -> DynamoTable:
    return table_at(server.port)


@pytest.fixture(scope="module")
def hasty(table_at: NewTable, server: Answers) -> DynamoTable:
    """A table that attempts a call once."""
    return table_at(server.port, 0.0)


def failure(code: str, **members: Any) -> dict[str, Any]:
    """An error body as DynamoDB sends it."""
    return {"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": "told to", **members}


def cancelled(*codes: str) -> dict[str, Any]:
    """A cancelled transaction with a reason for each item."""
    return failure("TransactionCanceledException", CancellationReasons=[{"Code": code} for code in codes])


@EVERY_READ
@pytest.mark.parametrize(
    "code",
    ["ProvisionedThroughputExceededException", "ThrottlingException", "RequestLimitExceeded"],
)
def test_a_throttling_error_raises_throttled(
    table: DynamoTable, answers: Answers, read: Callable[[DynamoTable], Any], code: str
) -> None:
    answers.reply = (400, failure(code))
    assert timed(lambda: read(table), Throttled) < BOUND
    assert 2 <= len(answers.operations) <= 200


@EVERY_READ
@pytest.mark.parametrize("status", [500, 502, 503, 504])
@pytest.mark.parametrize(
    "body", [b"", b"<html>bad gateway</html>", failure("InternalServerError")], ids=["none", "html", "json"]
)
def test_a_server_error_raises_unavailable(
    hasty: DynamoTable, answers: Answers, read: Callable[[DynamoTable], Any], status: int, body: Any
) -> None:
    answers.reply = (status, body)
    assert timed(lambda: read(hasty), Unavailable) < BOUND


@EVERY_READ
@pytest.mark.parametrize(
    "code", ["AccessDeniedException", "ResourceNotFoundException", "ValidationException", "UnrecognizedClientException"]
)
def test_an_error_that_dynamodb_returns_raises_unavailable(
    hasty: DynamoTable, answers: Answers, read: Callable[[DynamoTable], Any], code: str
) -> None:
    answers.reply = (400, failure(code))
    with pytest.raises(Unavailable, match=code):
        read(hasty)


@EVERY_READ
@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"not json", b"[]", b"null", b'"x"', b"7", b'{"Item": 5}', b'{"Items": 5}', b'{"Responses": []}',
     b'{"Responses": {"t": 5}}', b'{"Items": [5]}', b'{"Item": {"pk": 5}}', b'{"Items": null}', b'{"Responses": null}',
     b'{"Responses": {"t": [{"pk": {"S": 5}, "sk": null}]}}', b'{"Items": [{}]}', b'{"Responses": {"t": [{}]}}',
     b"\xff\xfe"],
)  # fmt: skip
def test_a_malformed_answer_raises_unavailable(
    hasty: DynamoTable, answers: Answers, read: Callable[[DynamoTable], Any], body: bytes
) -> None:
    """Only the port's own exceptions leave the table, and no item is returned."""
    answers.reply = (200, body)
    try:
        found = read(hasty)
    except Unavailable:
        return
    assert found == {} or found.items == ()


@EVERY_READ
def test_a_truncated_answer_raises_unavailable(
    hasty: DynamoTable, answers: Answers, read: Callable[[DynamoTable], Any]
) -> None:
    answers.reply = (200, b'{"Item": {"pk": {"S": "he', ("content-length", "1000"))
    assert timed(lambda: read(hasty), Unavailable) < BOUND


def test_a_read_is_retried_after_one_bad_answer(table: DynamoTable, answers: Answers) -> None:
    item = {"pk": {"S": "head"}, "sk": {"S": "head"}, "revision": {"N": "7"}}
    answers.reply = lambda _asked: (500, b"") if len(answers.operations) == 1 else (200, {"Item": item})
    assert table.get([KEY]) == {KEY: {"pk": "head", "sk": "head", "revision": 7}}


def test_attributes_of_other_types_are_left_out(table: DynamoTable, answers: Answers) -> None:
    odd = {
        "a": {"BOOL": True}, "b": {"NULL": True}, "c": {"L": []}, "d": {"M": {}}, "e": {"SS": ["x"]}, "f": {"N": "1.5"},
        "g": {"N": "1e3"}, "h": {"N": "--1"}, "i": {"N": "\u0661"}, "j": {"N": "-12"}, "k": {"S": ""}, "l": {"N": ""},
    }  # fmt: skip
    answers.reply = (200, {"Item": {"pk": {"S": "head"}, "sk": {"S": "head"}, **odd}})
    assert table.get([KEY]) == {KEY: {"pk": "head", "sk": "head", "j": -12, "k": ""}}


def unprocessed(asked: dict[str, Any], most: int) -> tuple[int, dict[str, Any]]:
    """Answer the first keys of a batch and return the rest as unprocessed, as DynamoDB does when short of capacity."""
    keys = asked["RequestItems"]["t"]["Keys"]
    rest = {"t": {"Keys": keys[most:], "ConsistentRead": True}} if keys[most:] else {}
    return 200, {"Responses": {"t": keys[:most]}, "UnprocessedKeys": rest}


def test_unprocessed_keys_are_requested_again(table: DynamoTable, answers: Answers) -> None:
    answers.reply = lambda asked: unprocessed(asked, 2)
    keys = [("rules", f"flag#{n}") for n in range(5)]
    assert set(table.get(keys)) == set(keys)
    assert len(answers.operations) == 3


def test_keys_that_stay_unprocessed_raise_throttled(table: DynamoTable, answers: Answers) -> None:
    answers.reply = lambda asked: unprocessed(asked, 0)
    assert timed(lambda: table.get([KEY, OTHER]), Throttled) < BOUND
    assert 2 <= len(answers.operations) <= 200


@pytest.mark.parametrize(
    ("body", "raised"),
    [
        (cancelled("None", "ConditionalCheckFailed", "None"), ConditionFailed),
        (cancelled("TransactionConflict", "ConditionalCheckFailed"), ConditionFailed),
        (cancelled("None", "TransactionConflict"), Contended),
        (cancelled("ThrottlingError", "None"), Throttled),
        (cancelled("ProvisionedThroughputExceeded"), Throttled),
        (cancelled("None", "ValidationError"), InvalidWrite),
        (cancelled("ThrottlingError", "ValidationError"), InvalidWrite),
        (cancelled("ItemCollectionSizeLimitExceeded"), InvalidWrite),
        (cancelled("TransactionConflict", "ValidationError"), Contended),
        (cancelled("ConditionalCheckFailed", "ValidationError"), ConditionFailed),
        (cancelled(), Unavailable),
        (failure("TransactionConflictException"), Contended),
        (failure("TransactionInProgressException"), Contended),
        (failure("ThrottlingException"), Throttled),
        (failure("ProvisionedThroughputExceededException"), Throttled),
        (failure("ValidationException"), InvalidWrite),
        (failure("AccessDeniedException"), Unavailable),
        (failure("IdempotentParameterMismatchException"), Unavailable),
    ],
)
def test_a_cancelled_transaction_raises_by_its_reasons(
    table: DynamoTable, answers: Answers, body: dict[str, Any], raised: type[Exception]
) -> None:
    answers.reply = (400, body)
    with pytest.raises(raised) as failed:
        table.write([Put({"pk": "a", "sk": "b"})])
    assert type(failed.value) is raised
    assert answers.operations == ["TransactWriteItems"]


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b"7"])
def test_a_write_with_a_malformed_answer_raises_unavailable(table: DynamoTable, answers: Answers, body: bytes) -> None:
    """A 200 is a success; an answer that botocore cannot read counts as lost."""
    answers.reply = (200, body)
    with contextlib.suppress(Unavailable):
        table.write([Put({"pk": "a", "sk": "b"})])


def test_reads_are_strongly_consistent(table: DynamoTable, answers: Answers) -> None:
    seen: list[dict[str, Any]] = []

    def reply(asked: dict[str, Any]) -> tuple[int, Any]:
        seen.append(asked)
        return 200, {"Items": [], "Responses": {}}

    answers.reply = reply
    for read in READS.values():
        read(table)
    assert seen[0]["ConsistentRead"] is True
    assert seen[1]["RequestItems"]["t"]["ConsistentRead"] is True
    assert seen[2]["ConsistentRead"] is True


def test_an_empty_range_is_not_queried(table: DynamoTable, answers: Answers) -> None:
    """DynamoDB refuses a BETWEEN with reversed bounds."""
    for after, before in (("b", "a"), ("a", "a"), ("", "")):
        page = table.query("rules", after=after, before=before)
        assert (page.items, page.next) == ((), None)
    assert answers.operations == []


# -- a budget partly spent by another read of the same request


@pytest.mark.parametrize("keys", [[KEY], [KEY, OTHER]], ids=["one", "two"])
def test_an_attempt_that_does_not_fit_into_the_remaining_budget_raises_throttled(
    table_at: NewTable, closed_port: int, keys: Any
) -> None:
    """It is a throttle: the store is too slow for this request; no breaker opens and nobody is admitted."""
    assert timed(lambda: table_at(closed_port).get(keys, spent=REQUEST_BUDGET - 0.3), Throttled) < 0.1
    assert timed(lambda: table_at(closed_port).get(keys, spent=0.5), Unavailable) < REQUEST_BUDGET
