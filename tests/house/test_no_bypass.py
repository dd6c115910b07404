"""The code reads only the environment variables that the template declares: no switch opens the gate."""

import ast
from collections.abc import Iterator
from pathlib import Path

from headgate_cli.local.intrinsics import read_template

ROOT = Path(__file__).parents[2]
HOLDERS = {"environ", "environment"}
READERS = {"getenv", "required"}
DECLARED_BY_LAMBDA = {"AWS_REGION", "AWS_LAMBDA_FUNCTION_NAME"}


def names_read(tree: ast.AST) -> Iterator[str]:
    """The constants in every access to the environment: `environ[…]`, `environ.get(…)`, `required(…)`."""
    for node in ast.walk(tree):
        given: list[ast.expr] = []
        if isinstance(node, ast.Subscript) and _last_name(node.value) in HOLDERS:
            given = [node.slice]
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "get":
            given = node.args[:1] if _last_name(node.func.value) in HOLDERS else []
        elif isinstance(node, ast.Call) and _last_name(node.func) in READERS:
            given = node.args
        yield from (arg.value for arg in given if isinstance(arg, ast.Constant) and isinstance(arg.value, str))


def _last_name(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def test_r43_code_reads_only_declared_variables() -> None:
    """Each name is a variable of some function in template.yaml, and none is a mode or a bypass."""
    template = read_template(ROOT / "template.yaml")
    functions = [one["Properties"] for one in template["Resources"].values() if one["Type"].endswith("::Function")]
    settings = [one["Environment"] for one in (template["Globals"]["Function"], *functions) if "Environment" in one]
    declared = {name for setting in settings for name in setting["Variables"]}
    sources = [*ROOT.glob("layers/headgate/headgate/**/*.py"), *ROOT.glob("functions/**/*.py")]
    read = {name for path in sources for name in names_read(ast.parse(path.read_text()))}
    assert "HEADGATE_TABLE" in read
    assert read <= declared | DECLARED_BY_LAMBDA
    assert not [name for name in declared if any(word in name for word in ("DEV", "DEBUG", "BYPASS", "MODE", "ENV"))]
