"""Times as text: RFC 3339 in UTC, to the millisecond, so that they sort as strings."""

from datetime import UTC, datetime


def rfc3339(seconds: float) -> str:
    """Unix seconds as text."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def unix(text: str) -> float:
    """RFC 3339 text as Unix seconds. Raises `ValueError` when it is not a time with an offset."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("a time needs an offset")
    return moment.timestamp()
