"""The templates for copies in another account: what is backed up, where it goes, and who may put it there."""

from typing import Any

import pytest
from template_checks.deployment import TEMPLATE, read_source

FOLDER = TEMPLATE.parent / "examples/backup"


@pytest.fixture(scope="module")
def plan() -> dict[str, Any]:
    return read_source(FOLDER / "plan.yaml")


@pytest.fixture(scope="module")
def vault() -> dict[str, Any]:
    return read_source(FOLDER / "vault.yaml")


def properties(source: dict[str, Any], name: str) -> Any:
    return source["Resources"][name]["Properties"]


def test_every_backup_of_the_table_is_copied_and_kept_as_long_as_the_vault_demands(
    plan: dict[str, Any], vault: dict[str, Any]
) -> None:
    (rule,) = properties(plan, "Plan")["BackupPlan"]["BackupPlanRule"]
    (copy,) = rule["CopyActions"]
    assert copy["DestinationBackupVaultArn"] == {"Ref": "CopyVaultArn"}
    assert rule["Lifecycle"] == copy["Lifecycle"] == {"DeleteAfterDays": {"Ref": "KeepDays"}}
    assert plan["Parameters"]["KeepDays"]["Default"] >= vault["Parameters"]["MinRetentionDays"]["Default"]
    (table,) = properties(plan, "Table")["BackupSelection"]["Resources"]
    assert table["Fn::Sub"].endswith(":table/${TableName}")


def test_only_the_source_account_puts_copies_into_the_vault_and_backups_outlive_their_stacks(
    plan: dict[str, Any], vault: dict[str, Any]
) -> None:
    (statement,) = properties(vault, "Vault")["AccessPolicy"]["Statement"]
    assert (statement["Effect"], statement["Action"]) == ("Allow", "backup:CopyIntoBackupVault")
    assert statement["Principal"] == {"AWS": {"Fn::Sub": "arn:${AWS::Partition}:iam::${SourceAccount}:root"}}
    assert properties(vault, "Vault")["LockConfiguration"] == {"MinRetentionDays": {"Ref": "MinRetentionDays"}}
    for source in (plan, vault):
        assert source["Resources"]["Vault"]["DeletionPolicy"] == "Retain"
    assert "Backup::" not in TEMPLATE.read_text(), "off by default: the stack itself has no backup plan"
