"""The number of project files that one request passes through, which is what a reader who follows it opens."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from stand import Stand

ROOT = Path(__file__).parents[2]
PRODUCT = (str(ROOT / "layers"), str(ROOT / "functions"))
FLAG = "gastown-convoys"
IMPORT = {"id": "first", "kind": "user", "mode": "add", "reason": "a pilot"}

Journey = Callable[[Stand], Any]


def stage(stand: Stand) -> Any:
    return stand.admin(
        "POST /admin/v1/flags/{key}/stage", {"stage": "ga", "reason": "open"}, key=FLAG, headers={"if-match": '"1"'}
    )


def kill(stand: Stand) -> Any:
    return stand.admin("POST /admin/v1/flags/{key}/kill", {"reason": "drill"}, key="gastown-access")


def restore(stand: Stand) -> Any:
    return stand.admin("POST /admin/v1/flags/{key}/restore", {"reason": "over"}, key="gastown-access")


def preview(stand: Stand) -> Any:
    body = {"flag": FLAG, "change": {"stage": "ga"}, "subjects": [{"user": "bob"}]}
    return stand.admin("POST /admin/v1/preview", body)


def open_import(stand: Stand) -> Any:
    return stand.admin("POST /admin/v1/flags/{key}/imports", IMPORT, key=FLAG)


JOURNEYS: dict[str, tuple[Journey, int]] = {
    "authorizer, continue": (lambda stand: stand.replay("authorizer.observe"), 9),
    "authorizer, entry": (lambda stand: stand.replay("authorizer.entry"), 12),
    "evaluate": (lambda stand: stand.replay("evaluate.single"), 11),
    "mint": (lambda stand: stand.replay("token.exchange"), 20),
    "stage": (stage, 15),
    "kill": (kill, 16),
    "restore": (restore, 14),
    "preview": (preview, 21),
    "import": (open_import, 14),
}
"""Each request, and the maximum number of files that it may pass through in a warm environment."""


def files_entered(request: Callable[[], Any]) -> tuple[set[str], Any]:
    """The project files whose functions a request calls, and its answer."""
    found: set[str] = set()

    def see(frame: Any, event: str, _arg: Any) -> None:
        name = frame.f_code.co_filename
        if event == "call" and name.startswith(PRODUCT):
            found.add(str(Path(name).relative_to(ROOT)))

    before = sys.getprofile()
    sys.setprofile(see)
    try:
        answer = request()
    finally:
        sys.setprofile(before)
    return found, answer


@pytest.mark.parametrize("name", JOURNEYS)
def test_request_stays_within_its_file_limit(stand: Stand, name: str) -> None:
    journey, most = JOURNEYS[name]
    stand.renew()
    for event in ("authorizer.entry", "evaluate.single", "token.exchange", "admin.list-flags"):
        stand.replay(event)
    files, answer = files_entered(lambda: journey(stand))
    assert answer.get("isAuthorized") is True or 200 <= answer["statusCode"] < 300
    assert len(files) <= most, f"{len(files)}: {sorted(files)}"
