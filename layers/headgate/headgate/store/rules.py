"""The stored rules as a snapshot."""

from headgate.core.flag import read_flag
from headgate.core.ruleset import ruleset
from headgate.core.snapshot import EMPTY, Snapshot, read_keyring, read_profile, read_routes, with_denials
from headgate.store.items import DENY_PREFIX, FLAG_PREFIX, KEYRING_KEY, PROFILE_KEY, ROUTES_KEY, read_stored
from headgate.store.port import Item


def build(items: list[Item], revision: int) -> Snapshot:
    """Build a snapshot from the stored rules."""
    flags, routes, profile, keyring, denials = {}, EMPTY.routes, EMPTY.profile, EMPTY.keyring, []
    for item in items:
        key, stored = (str(item["pk"]), str(item["sk"])), read_stored(item)
        if key == ROUTES_KEY:
            routes = read_routes(stored.document or {"version": stored.version})
        elif key == PROFILE_KEY:
            profile = read_profile(stored.document)
        elif key == KEYRING_KEY:
            keyring = read_keyring(stored.document)
        elif key[1].startswith(DENY_PREFIX):
            denials.append(stored.document)
        elif key[1].startswith(FLAG_PREFIX) and not stored.retired:
            name = key[1].removeprefix(FLAG_PREFIX)
            flags[name] = read_flag(name, stored.document)
    return Snapshot(ruleset(flags, revision), routes, profile, keyring, with_denials(EMPTY.denied, denials))
