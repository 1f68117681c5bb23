"""JSON Schema, as far as the schema of specifications needs it."""

from __future__ import annotations

from typing import Any


def validate(value: Any, rule: dict[str, Any], root: dict[str, Any] | None = None) -> None:
    """Assert that a value follows a JSON Schema, of the words that the schema of specifications uses; `root` has its ``$defs``."""
    root = rule if root is None else root
    known = {"$ref", "$defs", "$schema", "title", "description", "default", "type", "enum", "const", "anyOf", "if", "then", "else"}
    known |= {"properties", "required", "additionalProperties", "minProperties", "items", "minItems", "minLength", "minimum"}
    assert set(rule) <= known, set(rule) - known
    if "$ref" in rule:
        validate(value, root["$defs"][rule["$ref"].removeprefix("#/$defs/")], root)
    if "type" in rule:
        assert is_a(value, rule["type"]), (value, rule["type"])
    assert value in rule.get("enum", [value])
    assert value == rule.get("const", value)
    if "anyOf" in rule:
        assert any(follows(value, one, root) for one in rule["anyOf"]), value
    if "if" in rule:
        validate(value, rule["then" if follows(value, rule["if"], root) else "else"], root)
    if isinstance(value, dict):
        assert set(rule.get("required", ())) <= set(value), (rule["required"], value)
        assert len(value) >= rule.get("minProperties", 0)
        for name, item in value.items():
            one = rule.get("properties", {}).get(name, rule.get("additionalProperties", True))
            assert one is not False, name
            if isinstance(one, dict):
                validate(item, one, root)
    if isinstance(value, list):
        assert len(value) >= rule.get("minItems", 0)
        for item in value:
            validate(item, rule.get("items", {}), root)
    if isinstance(value, str):
        assert len(value) >= rule.get("minLength", 0)
    if isinstance(value, int | float) and "minimum" in rule:
        assert value >= rule["minimum"]


def follows(value: Any, rule: dict[str, Any], root: dict[str, Any] | None = None) -> bool:
    """Whether a value follows a schema."""
    try:
        validate(value, rule, root)
    except AssertionError:
        return False
    return True


def is_a(value: Any, kind: str) -> bool:
    """Whether a value is of a type of JSON."""
    if isinstance(value, bool):
        return kind == "boolean"
    if kind == "integer":
        return isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    return isinstance(value, {"number": (int, float), "string": str, "array": list, "object": dict, "boolean": bool}[kind])
