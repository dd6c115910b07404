"""Rotate the signing keys by the clock: what the template's schedule asks once a day, if there is one."""

from collections.abc import Mapping
from typing import Any

from headgate.core.changes.refusal import Refusal, Slug
from headgate.core.snapshot import read_keyring
from headgate.edge import telemetry
from headgate.edge.admin.call import Admin
from headgate.edge.admin.health import key_age
from headgate.edge.admin.keys import rotation
from headgate.store.items import KEYRING_KEY
from headgate.store.port import Throttled, Unavailable
from headgate.store.record import Actor, Call, Change, Current

DAY = 86_400


def rotate_when_due(admin: Admin, event: Mapping[str, Any]) -> None:
    """Rotate the keys if the active key has signed for `after_days`. `at` is when the schedule made the call.

    The plan asks for the age, so that a call that comes twice, or just after an operator's rotation, changes nothing.
    """
    days, once = int(event["after_days"]), f"schedule-{event['at']}"

    def plan(current: Current) -> Change:
        age = key_age(admin, () if current.stored is None else read_keyring(current.document))
        if age is None or age < days * DAY:
            raise Refusal(Slug.CANNOT_ROTATE, "the active key is not old enough")
        return rotation(admin, current)

    call = Call(Actor("headgate:schedule", "", ""), f"the key has signed for {days} days", once, "schedule", once, once)
    try:
        admin.record.change(KEYRING_KEY, plan, call)
    except Refusal:  # the next day's call tries again; KeyAge is measured, and has an alarm
        return
    except (Unavailable, Throttled) as failure:
        telemetry.log("unavailable", {"StoreUnavailable": 1}, function=admin.function, error=str(failure))
