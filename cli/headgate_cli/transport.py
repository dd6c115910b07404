"""One HTTP request and its answer. Signs when it is given credentials; never retries, never follows a redirect.

Credentials and tokens go out over HTTPS, or to this machine: anything else is refused before a byte is sent.
"""

import json
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import ReadOnlyCredentials
from botocore.exceptions import ConnectionError as NoConnection
from botocore.exceptions import HTTPClientError, SSLError
from botocore.httpsession import URLLib3Session
from botocore.utils import get_environ_proxies

from headgate_cli import failures

CONNECT_SECONDS, READ_SECONDS = 5, 35  # API Gateway itself gives up at 30 s
_SERVICE = "execute-api"


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """What came back. Header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def ok(self) -> bool:
        """Whether the status is a success."""
        return 200 <= self.status < 300

    @property
    def document(self) -> Any:
        """The JSON body, or `{}` where there is none. Raises `Failure` where it is not JSON."""
        if not self.body:
            return {}
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            raise failures.unavailable("the answer is not JSON", f"status {self.status}") from None

    def required(self) -> "HttpAnswer":
        """Itself, or the `Failure` that it tells of."""
        if self.ok:
            return self
        raise failures.from_answer(self.status, self.body, self.headers.get("etag"))


@dataclass(frozen=True, slots=True)
class RequestSigner:
    """SigV4 with the caller's credentials, for API Gateway."""

    credentials: ReadOnlyCredentials
    region: str

    def sign(self, request: AWSRequest) -> None:
        """Add the signature headers."""
        SigV4Auth(self.credentials, _SERVICE, self.region).add_auth(request)


def is_loopback(url: str) -> bool:
    """Whether the URL's host is this machine."""
    host = urlsplit(url).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def checked_url(url: str) -> str:
    """The URL without a trailing slash. Raises `Failure` (usage) where it would send secrets in the clear."""
    parts = urlsplit(url)
    odd = parts.username is not None or parts.query or parts.fragment
    if parts.scheme not in ("http", "https") or not parts.hostname or odd:
        # the URL itself is not repeated: it may hold a password
        raise failures.usage("an API's address is http(s)://host[:port][/path], without user, query and fragment")
    if parts.scheme == "http" and not is_loopback(url):
        raise failures.usage(f"refused to send credentials in the clear to {parts.hostname}", "use https")
    return url.rstrip("/")


class Transport:
    """Keeps connections open between requests. Safe to share between threads."""

    def __init__(self, ca_bundle: str | None = None) -> None:
        self._options: dict[str, Any] = {
            "verify": ca_bundle or True,
            "timeout": (CONNECT_SECONDS, READ_SECONDS),
            "socket_options": [(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)],  # else 44 ms a request, measured
        }
        self._sessions: dict[str, URLLib3Session] = {}

    def send(
        self,
        method: str,
        url: str,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        signer: RequestSigner | None = None,
    ) -> HttpAnswer:
        """Send one request. Raises `NoAnswer` where none came back."""
        request = AWSRequest(method=method, url=url, data=body, headers=dict(headers or {}))
        if signer is not None:
            signer.sign(request)
        try:
            response = self._session(url).send(request.prepare())
        except SSLError as error:
            raise failures.unavailable(f"no trust in {urlsplit(url).hostname}", _first_line(error)) from None
        except (HTTPClientError, NoConnection) as error:
            raise NoAnswer(url, type(error).__name__) from None
        lowered = {name.lower(): value for name, value in response.headers.items()}
        return HttpAnswer(response.status_code, lowered, response.content)

    def _session(self, url: str) -> URLLib3Session:
        origin = "{0.scheme}://{0.netloc}".format(urlsplit(url))
        if origin not in self._sessions:
            proxies = {} if is_loopback(url) else get_environ_proxies(url)
            self._sessions[origin] = URLLib3Session(proxies=proxies, **self._options)
        return self._sessions[origin]


class NoAnswer(Exception):
    """The connection failed or timed out: the request may or may not have been carried out."""

    def __init__(self, url: str, kind: str) -> None:
        super().__init__(f"no answer from {urlsplit(url).netloc} ({kind})")


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0][:200]
