"""ConfigCat: its client with local overrides only. They are read from a file once, then held."""

import itertools
import json
import tempfile
from pathlib import Path
from typing import Any

import configcatclient
from configcatclient.configcatoptions import ConfigCatOptions
from configcatclient.localfiledatasource import LocalFileFlagOverrides
from configcatclient.overridedatasource import FlagOverrides, OverrideBehaviour, OverrideDataSource
from configcatclient.user import User
from contest.cases import PERCENT, Case, Kind, Spec
from contest.contestant import Asking

NAME, NATIVE, KINDS = "configcat", False, frozenset(Kind)
IS_ONE_OF, IS_GREATER = 0, 14
_numbers = itertools.count()


class Held(FlagOverrides):
    """What a file of overrides said."""

    def __init__(self, overrides: Any) -> None:
        self._overrides = overrides

    def create_data_source(self, _log: Any) -> OverrideDataSource:
        overrides = self._overrides

        class Source(OverrideDataSource):
            def get_overrides(self) -> Any:
                return overrides

        return Source(override_behaviour=OverrideBehaviour.LocalOnly)


def load(case: Case) -> Asking:
    """A client of its own."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "config.json")
        path.write_text(json.dumps({"p": {}, "f": {spec.key: setting(spec) for spec in case.specs}}))
        source = LocalFileFlagOverrides(str(path), OverrideBehaviour.LocalOnly).create_data_source(None)
        held = Held(source.get_overrides())
    client = configcatclient.get(f"bench-{next(_numbers)}", ConfigCatOptions(flag_overrides=held))
    users = [User(person.user, custom=dict(person.attributes)) for person in case.crowd]
    one, everything = "client.get_value(key, False, subject)", "client.get_all_values(subject)"
    return Asking(one, {"client": client}, users, all=everything)


def setting(spec: Spec) -> dict[str, Any]:
    """One setting of the config JSON, version 6."""
    on, off = {"v": {"b": True}}, {"v": {"b": False}}
    made: dict[str, Any] = {"t": 0, **(on if spec.kind is Kind.GA else off)}
    match spec.kind:
        case Kind.SPLIT:
            made["p"] = [{"p": PERCENT, **on}, {"p": 100 - PERCENT, **off}]
        case Kind.LISTED:
            made["r"] = [{"c": [{"u": {"a": "Identifier", "c": IS_ONE_OF, "l": list(spec.users)}}], "s": on}]
        case Kind.RULE:
            conditions = [{"u": {"a": "plan", "c": IS_ONE_OF, "l": ["pro"]}},
                          {"u": {"a": "seats", "c": IS_GREATER, "d": 10}}]  # fmt: skip
            made["r"] = [{"c": conditions, "s": on}]
        case Kind.CHILD:
            made["r"] = [{"c": [{"p": {"f": spec.parent, "c": 0, **on}}], "s": on}]
        case _:
            pass
    return made
