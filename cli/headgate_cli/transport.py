"""One HTTP request and its answer. Signs if it has credentials; never retries, never follows a redirect.

Credentials and tokens are sent over HTTPS or to loopback only. Anything else is refused before a byte is sent.
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
    """An answer. Header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def ok(self) -> bool:
        """Whether the status is a success."""
        return 200 <= self.status < 300

    @property
    def document(self) -> Any:
        """The JSON body, or `{}` if it is empty. Raises `Failure` if it is not JSON."""
        if not self.body:
            return {}
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            raise failures.unavailable("the answer is not JSON", f"status {self.status}") from None

    def required(self) -> "HttpAnswer":
        """Return the answer itself. Raises `Failure` if the status is not a success."""
        if self.ok:
            return self
        raise failures.from_answer(self.status, self.body, self.headers.get("etag"))


@dataclass(frozen=True, slots=True)
class RequestSigner:
    """Signs with SigV4 and the caller's credentials, for API Gateway."""

    credentials: ReadOnlyCredentials
    region: str

    def sign(self, request: AWSRequest) -> None:
        """Add the signature headers."""
        SigV4Auth(self.credentials, _SERVICE, self.region).add_auth(request)


def is_loopback(url: str) -> bool:
    """Return whether the URL's host is this machine."""
    host = urlsplit(url).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def checked_url(url: str) -> str:
    """Return the URL without trailing slashes. Raises `Failure` (usage) if it would send secrets in plain text."""
    parts = urlsplit(url)
    odd = parts.username is not None or parts.query or parts.fragment
    if parts.scheme not in ("http", "https") or not parts.hostname or odd:
        # the URL is not repeated: it may contain a password
        raise failures.usage("a URL must be http(s)://host[:port][/path], without user, query, or fragment")
    if parts.scheme == "http" and not is_loopback(url):
        raise failures.usage(f"refused to send credentials in plain text to {parts.hostname}", "use https")
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
        """Send one request. Raises `NoAnswer` if there is no answer, `Failure` if the certificate is not trusted."""
        request = AWSRequest(method=method, url=url, data=body, headers=dict(headers or {}))
        if signer is not None:
            signer.sign(request)
        try:
            response = self._session(url).send(request.prepare())
        except SSLError as error:
            title = f"the certificate of {urlsplit(url).hostname} is not trusted"
            raise failures.unavailable(title, _first_line(error)) from None
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
    """The connection failed or timed out. The request may or may not have been processed."""

    def __init__(self, url: str, kind: str) -> None:
        super().__init__(f"no answer from {urlsplit(url).netloc} ({kind})")


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0][:200]
