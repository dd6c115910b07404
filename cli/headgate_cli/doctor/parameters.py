"""A template's parameters, checked before anything is created: CloudFormation's rules, and what no rule can see.

Source: AWS CloudFormation User Guide, "Parameters" and "Rules".
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, NoReturn

from headgate.core.documents import Invalid
from headgate.tokens.issuers import IdentityIssuer, parse_issuers
from headgate.tokens.legacy_issuer import parse_legacy_issuer, prefix_of
from headgate_cli.doctor.checked import Checked
from headgate_cli.local.intrinsics import Resolver, TemplateError

ARNS = ("ExistingKeys", "ExistingAuditKey", "LogKey", "AlarmTopic", "TracingLayer")


class Conditions(Resolver):
    """Resolves conditions and rules, which depend on parameters only. Raises `TemplateError` for anything else."""

    def __init__(self, template: Mapping[str, Any], parameters: Mapping[str, str]) -> None:
        super().__init__(template, parameters=parameters, pseudo={}, ref=_unknown, attribute=_unknown)


def _unknown(name: str, *_: str) -> NoReturn:
    raise TemplateError(f"{name} is not a parameter")


def check_parameters(
    template: Mapping[str, Any], given: Mapping[str, str], *, region: str | None, now: float
) -> Iterator[Checked]:
    """Check the parameters `given` for a template. `region` is the stack's, if known; `now` in Unix seconds."""
    declared = template.get("Parameters", {})
    unknown = [f"the template has no parameter {name}" for name in sorted(given.keys() - declared.keys())]
    values = {name: given.get(name, str(spec.get("Default", ""))) for name, spec in declared.items()}
    faults = [*unknown]
    for name, spec in declared.items():
        faults += _faults_of_value(name, spec, values[name])
    faults += _broken_rules(template, {name: values[name] for name in given if name in declared})
    faults += _faults_of_keys(values)
    faults += _faults_of_regions(values, region)
    issuers, invalid = _issuers(values.get("IdentityIssuers", "[]"), values.get("LegacyIssuer", ""), now)
    faults += invalid
    yield from (Checked("parameters", fault, failed=True) for fault in faults)
    if not faults:
        yield Checked("parameters", f"all {len(declared)} values are valid and do not contradict each other")
    if not invalid and not issuers:
        yield Checked("parameters", "IdentityIssuers is empty: nobody can exchange a token")


def _faults_of_value(name: str, spec: Mapping[str, Any], value: str) -> Iterator[str]:
    told = spec.get("ConstraintDescription", "has a value that the template does not allow")
    if re.fullmatch(spec.get("AllowedPattern", r"[\s\S]*"), value) is None or len(value) > spec.get("MaxLength", 4096):
        yield f"{name} {told}"
    allowed = [str(one) for one in spec.get("AllowedValues", [value])]
    if value not in allowed:
        yield f"{name} must be one of {', '.join(allowed)}"
    if spec["Type"] == "Number":
        yield from _faults_of_number(name, spec, value)


def _faults_of_number(name: str, spec: Mapping[str, Any], value: str) -> Iterator[str]:
    try:
        number = float(value)
    except ValueError:
        yield f"{name} must be a number"
        return
    if not spec.get("MinValue", number) <= number <= spec.get("MaxValue", number):
        yield f"{name} must be at least {spec.get('MinValue', 'any')} and at most {spec.get('MaxValue', 'any')}"


def _broken_rules(template: Mapping[str, Any], given: Mapping[str, str]) -> Iterator[str]:
    resolver = Conditions(template, given)
    for rule in template.get("Rules", {}).values():
        for assertion in rule["Assertions"]:
            if not resolver.resolve(assertion["Assert"]):
                yield assertion["AssertDescription"]


def _faults_of_keys(values: Mapping[str, str]) -> Iterator[str]:
    keys = [key for name in ("ExistingKeys", "ExistingAuditKey") for key in values.get(name, "").split(",") if key]
    if len(set(keys)) < len(keys):
        yield "ExistingKeys and ExistingAuditKey must name different keys: whoever signs with one must not with another"


def _faults_of_regions(values: Mapping[str, str], region: str | None) -> Iterator[str]:
    for name in ARNS:
        for arn in filter(None, values.get(name, "").split(",")):
            parts = arn.split(":")
            if region is not None and len(parts) >= 6 and parts[3] != region:
                yield f"{name} is in {parts[3]}, but the stack is in {region}"


def _issuers(identity: str, legacy: str, now: float) -> tuple[tuple[IdentityIssuer, ...], list[str]]:
    """Return the identity issuers, and the faults of both values, as the functions find them when they start."""
    name = "IdentityIssuers"
    try:
        issuers = parse_issuers(identity)
        name = "LegacyIssuer"
        if legacy:
            prefix_of(parse_legacy_issuer(legacy, now), issuers)
    except Invalid as invalid:
        return (), [f"{name}: {path} {message}" for path, message in invalid.faults]
    return issuers, []
