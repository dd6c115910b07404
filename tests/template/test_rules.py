"""The template satisfies every rule, and every rule detects templates with one small fault."""

import copy

import pytest
from template_checks import (
    api,
    broken_api,
    broken_emergency,
    broken_releases,
    broken_rights,
    data,
    emergency,
    releases,
    rights,
)
from template_checks.deployment import Check, Deployment
from template_checks.edits import Edit, broken_by, with_one_route

ROUTELESS = (*rights.CHECKS, *data.CHECKS, *emergency.CHECKS)
TABLES = (broken_api.BROKEN, broken_rights.BROKEN, broken_emergency.BROKEN, broken_releases.BROKEN)
CHECKS = (*api.CHECKS, *releases.CHECKS, *ROUTELESS)
BROKEN = [case for table in TABLES for case in broken_by(table)]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_template_satisfies(check: Check, deployment: Deployment) -> None:
    assert list(check(deployment)) == []


@pytest.mark.parametrize(("check", "edit"), BROKEN)
def test_broken_template_is_found_by(check: Check, edit: Edit, deployment: Deployment) -> None:
    source = copy.deepcopy(deployment.source)
    if check in ROUTELESS:
        with_one_route(source)
    edit(source)
    assert list(check(Deployment(source)))


def test_rules_without_routes_pass_on_a_template_with_one_route(deployment: Deployment) -> None:
    source = copy.deepcopy(deployment.source)
    with_one_route(source)
    assert [fault for check in ROUTELESS for fault in check(Deployment(source))] == []


def test_every_rule_has_a_broken_template() -> None:
    assert {check for table in TABLES for check in table} == {*CHECKS}
