"""infra/template.yaml as values, and the pieces of it that an emulator without CloudFormation needs."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml

FILE = Path(__file__).resolve().parents[1] / "infra/template.yaml"


class _Loader(yaml.SafeLoader):
    """SafeLoader with CloudFormation's short forms."""


def _short(loader: _Loader, name: str, node: Any) -> Any:
    value: Any
    if isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    elif isinstance(node, yaml.MappingNode):
        value = loader.construct_mapping(node, deep=True)
    else:
        value = loader.construct_scalar(node)
    return {name if name in ("Ref", "Condition") else f"Fn::{name}": value}


_Loader.add_multi_constructor("!", _short)


@cache
def template() -> dict[str, Any]:
    """The template; `!Ref x` is {"Ref": "x"}, `!Sub x` is {"Fn::Sub": "x"} and so on."""
    return dict(yaml.load(FILE.read_text(encoding="utf-8"), Loader=_Loader))


def look_environment(given: Mapping[str, str]) -> dict[str, str]:
    """The Lambda's variables.

    given  by logical id: parameters (else their defaults), and what the template makes, such as Topic
    """
    variables = template()["Resources"]["Look"]["Properties"]["Environment"]["Variables"]
    return {name: _resolved(value, given) for name, value in variables.items()}


def look_function(given: Mapping[str, str], *, name: str, role: str, code: Mapping[str, Any]) -> dict[str, Any]:
    """What boto3's `create_function` takes. code: {"ZipFile": bytes} or {"S3Bucket": ..., "S3Key": ...}."""
    properties = template()["Resources"]["Look"]["Properties"]
    taken = ("Runtime", "Handler", "MemorySize", "Timeout", "Architectures")
    environment = {"Variables": look_environment(given)}
    return {key: properties[key] for key in taken} | {
        "FunctionName": name,
        "Role": role,
        "Code": code,
        "Environment": environment,
    }


def _resolved(value: Any, given: Mapping[str, str]) -> str:
    match value:
        case {"Ref": name}:
            return given.get(name) or str(template()["Parameters"].get(name, {}).get("Default", ""))
        case {"Fn::GetAtt": name}:
            return given.get(name, "")
        case {"Fn::If": [condition, yes, no]}:
            first, second = template()["Conditions"][condition]["Fn::Equals"]
            return _resolved(yes if _resolved(first, given) == _resolved(second, given) else no, given)
        case _:
            return str(value)
