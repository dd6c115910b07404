"""Decides what a CloudFormation value is once its intrinsic functions are resolved.

It reads YAML with CloudFormation's short tags into plain data (`!Ref x` becomes `{"Ref": "x"}`) and resolves
that data against parameters, conditions and the resources' local ids. It must not know what a resource means.
Anything that it does not know is refused: a guessed value would be a gate that differs from the deployed one.
Source: AWS CloudFormation User Guide, "Intrinsic function reference" and "Pseudo parameters reference".
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import yaml

Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
NO_VALUE = object()
"""What `AWS::NoValue` resolves to: the member that holds it is left out."""

_PLACEHOLDER = re.compile(r"\$\{(!?)([^}]*)\}")


class TemplateError(Exception):
    """The template holds something that the laptop mode does not know or cannot resolve."""


class _Loader(Base):  # type: ignore[misc]
    """YAML 1.1 without its dates (`Version: 2012-10-17` is text) and without silent duplicate keys."""

    yaml_implicit_resolvers: ClassVar[dict[str, Any]] = {
        first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
        for first, resolvers in Base.yaml_implicit_resolvers.items()
    }


def _mapping(loader: Any, node: yaml.MappingNode) -> dict[Any, Any]:
    loader.flatten_mapping(node)
    out: dict[Any, Any] = {}
    for key_node, value_node in node.value:
        key = loader.construct_object(key_node, deep=True)
        if key in out:
            raise TemplateError(f"line {key_node.start_mark.line + 1}: {key!r} is given twice")
        out[key] = loader.construct_object(value_node, deep=True)
    return out


def _short_form(loader: Any, suffix: str, node: yaml.Node) -> dict[str, Any]:
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = _mapping(loader, node)  # type: ignore[arg-type]
    if suffix == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}": value}


_Loader.add_constructor("tag:yaml.org,2002:map", _mapping)
_Loader.add_multi_constructor("!", _short_form)


def read_template(path: Path) -> dict[str, Any]:
    """Read a template file into plain data. Raises TemplateError when it is not a mapping with Resources."""
    try:
        data = yaml.load(path.read_bytes(), Loader=_Loader)  # noqa: S506 - a subclass of the safe loader
    except OSError as error:
        raise TemplateError(f"{path} cannot be read: {error.strerror}") from error
    except yaml.YAMLError as error:
        raise TemplateError(f"{path.name} is not valid YAML: {error}") from error
    if not isinstance(data, dict) or not isinstance(data.get("Resources"), dict):
        raise TemplateError(f"{path.name} has no Resources")
    return data


class Resolver:
    """Resolves values of one template. `ref` and `attribute` answer for resources, by logical id."""

    def __init__(
        self,
        template: Mapping[str, Any],
        *,
        parameters: Mapping[str, str],
        pseudo: Mapping[str, str],
        ref: Callable[[str], str],
        attribute: Callable[[str, str], str],
    ) -> None:
        self._mappings = template.get("Mappings", {})
        self._conditions = template.get("Conditions", {})
        self._resources = template["Resources"]
        self._pseudo = pseudo
        self._ref, self._attribute = ref, attribute
        self.parameters = _parameter_values(template.get("Parameters", {}), parameters)
        self._functions: dict[str, Callable[[Any], Any]] = {
            "Ref": self._do_ref,
            "Condition": self._do_condition,
            "Fn::Sub": self._do_sub,
            "Fn::GetAtt": self._do_get_att,
            "Fn::Join": lambda arg: str(arg[0]).join(_texts(self.resolve(arg[1]))),
            "Fn::Split": lambda arg: str(self.resolve(arg[1])).split(str(arg[0])),
            "Fn::Select": lambda arg: self.resolve(arg[1])[int(self.resolve(arg[0]))],
            "Fn::If": lambda arg: self.resolve(arg[1] if self.holds(arg[0]) else arg[2]),
            "Fn::Equals": lambda arg: _text(self.resolve(arg[0])) == _text(self.resolve(arg[1])),
            "Fn::Not": lambda arg: not self._truth(arg[0]),
            "Fn::And": lambda arg: all(self._truth(item) for item in arg),
            "Fn::Or": lambda arg: any(self._truth(item) for item in arg),
            "Fn::FindInMap": self._do_find_in_map,
            "Fn::Base64": lambda arg: base64.b64encode(str(self.resolve(arg)).encode()).decode(),
        }

    def resolve(self, value: Any) -> Any:
        """The value with every intrinsic resolved. Raises TemplateError for one that is unknown or has no answer."""
        if isinstance(value, dict):
            name = next(iter(value), None)
            if len(value) == 1 and isinstance(name, str) and self._is_intrinsic(name):
                return self._call(name, value[name])
            items = ((key, self.resolve(item)) for key, item in value.items())
            return {key: item for key, item in items if item is not NO_VALUE}
        if isinstance(value, list):
            return [item for item in map(self.resolve, value) if item is not NO_VALUE]
        return value

    def holds(self, condition: str) -> bool:
        """Whether a named condition of the template is true."""
        if condition not in self._conditions:
            raise TemplateError(f"condition {condition} is not in the template")
        return self._truth(self._conditions[condition])

    def _is_intrinsic(self, name: str) -> bool:
        # IAM statements have a member `Condition` too: there it holds a mapping and has siblings
        return name == "Ref" or name == "Condition" or name.startswith("Fn::")

    def _call(self, name: str, argument: Any) -> Any:
        if name == "Condition" and not isinstance(argument, str):
            return {"Condition": self.resolve(argument)}
        function = self._functions.get(name)
        if function is None:
            raise TemplateError(f"{name} is not known here")
        try:
            return function(argument)
        except (IndexError, KeyError, TypeError, ValueError) as error:
            raise TemplateError(f"{name} {argument!r} cannot be resolved") from error

    def _truth(self, value: Any) -> bool:
        answer = self.resolve(value)
        if not isinstance(answer, bool):
            raise TemplateError(f"{value!r} is not a condition")
        return answer

    def _do_condition(self, name: str) -> bool:
        return self.holds(name)

    def _do_ref(self, name: str) -> Any:
        if name == "AWS::NoValue":
            return NO_VALUE
        if name in self._pseudo:
            return self._pseudo[name]
        if name in self.parameters:
            return self.parameters[name]
        return self._ref(name)

    def _do_get_att(self, argument: list[str]) -> str:
        logical_id, attribute = argument
        return self._attribute(logical_id, str(self.resolve(attribute)))

    def _do_sub(self, argument: Any) -> str:
        text, names = (argument, {}) if isinstance(argument, str) else argument

        def one(match: re.Match[str]) -> str:
            literal, name = match.groups()
            if literal:
                return "${" + name + "}"
            if name in names:
                return str(self.resolve(names[name]))
            if "." in name:
                return self._do_get_att(name.split(".", 1))
            return str(_plain(self._do_ref(name), name))

        return _PLACEHOLDER.sub(one, text)

    def _do_find_in_map(self, argument: list[Any]) -> Any:
        first, second, third = (self.resolve(item) for item in argument)
        return self._mappings[first][second][third]


def _plain(value: Any, name: str) -> str | int | float:
    if not isinstance(value, (str, int, float)):
        raise TemplateError(f"${{{name}}} is not text")
    return value


def _texts(values: Any) -> list[str]:
    if not isinstance(values, list):
        raise TypeError("a list is needed")
    return [str(value) for value in values]


def _parameter_values(declared: Mapping[str, Any], given: Mapping[str, str]) -> dict[str, Any]:
    unknown = sorted(set(given) - set(declared))
    if unknown:
        raise TemplateError(f"the template has no parameter {', '.join(unknown)}")
    return {name: _parameter(name, spec, given) for name, spec in declared.items()}


def _parameter(name: str, spec: Mapping[str, Any], given: Mapping[str, str]) -> Any:
    kind = spec.get("Type", "String")
    if name not in given and "Default" not in spec:
        raise TemplateError(f"parameter {name} has no default and no value")
    value = _text(given.get(name, spec.get("Default")))
    if kind in ("String", "Number"):
        return value
    if kind in ("CommaDelimitedList", "List<String>", "List<Number>"):
        return [part.strip() for part in value.split(",")] if value else []
    raise TemplateError(f"parameter {name} is of type {kind}, which is not known here")


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
