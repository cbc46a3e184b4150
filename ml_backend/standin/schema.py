"""Strict structured output: which schemas are taken, and how one is filled with an answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from ml_backend.standin.errors import ApiError

TYPES = {"string", "number", "integer", "boolean", "null", "object", "array"}
ID_NAMES = {"id", "item", "item_id"}


def check(response_format: Mapping[str, Any]) -> None:
    """Raises ApiError 400 where OpenAI's strict mode would: it takes only closed objects, all keys required."""
    wanted = response_format.get("json_schema")
    if not isinstance(wanted, Mapping) or not wanted.get("name"):
        raise ApiError(
            400,
            "Missing required parameter: 'response_format.json_schema.name'.",
            param="response_format.json_schema",
            code="missing_required_parameter",
        )
    schema = wanted.get("schema")
    if not isinstance(schema, Mapping) or schema.get("type") != "object":
        raise _invalid(str(wanted["name"]), "schema must be a JSON Schema of 'type: \"object\"'")
    if wanted.get("strict"):
        for path, node in _nodes(schema):
            problem = _problem(node)
            if problem:
                raise _invalid(str(wanted["name"]), f"In context=({path}), {problem}")


def _invalid(name: str, problem: str) -> ApiError:
    return ApiError(
        400,
        f"Invalid schema for response_format '{name}': {problem}.",
        param="response_format",
        code="invalid_json_schema",
    )


def _problem(node: Mapping[str, Any]) -> str:
    """What strict mode has against one (sub)schema; empty when nothing."""
    kinds = node.get("type", [])
    kinds = [kinds] if isinstance(kinds, str) else kinds
    enum = [str(value) for value in node.get("enum", [])]
    closed = node.get("additionalProperties") is False
    complete = set(node.get("required", [])) == set(node.get("properties", {}))
    problems = {
        "the given type is not a valid one": not set(kinds) <= TYPES,
        "schema must have a 'type' key": not kinds and not {"enum", "const", "anyOf", "$ref"} & set(node),
        "'enum' must list at least one value": "enum" in node and not enum,
        "'enum' must list each value once": len(set(enum)) != len(enum),
        "'additionalProperties' is required to be supplied and to be false": "object" in kinds and not closed,
        "'required' is required to include every key in properties": "object" in kinds and not complete,
        "array schema missing items": "array" in kinds and "items" not in node,
    }
    return next((problem for problem, there in problems.items() if there), "")


def _nodes(schema: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The schema and all schemas in it, with their places."""
    yield path, schema
    for key in ("properties", "$defs"):
        for name, inner in schema.get(key, {}).items():
            yield from _nodes(inner, f"{path}{key}.{name}.")
    if isinstance(schema.get("items"), Mapping):
        yield from _nodes(schema["items"], f"{path}items.")
    for number, inner in enumerate(schema.get("anyOf", [])):
        yield from _nodes(inner, f"{path}anyOf.{number}.")


def enums(schema: Mapping[str, Any]) -> list[list[str]]:
    """All lists of allowed strings in a schema, in the order in which they stand."""
    return [[str(v) for v in node["enum"]] for _, node in _nodes(schema) if node.get("enum")]


def ids(schema: Mapping[str, Any]) -> list[str]:
    """The item ids that a schema allows, where it names them."""
    return [
        str(value)
        for _, node in _nodes(schema)
        for name, inner in node.get("properties", {}).items()
        if name in ID_NAMES
        for value in inner.get("enum", [])
    ]


def fill(
    schema: Mapping[str, Any],
    items: Sequence[int],
    value: Callable[[str, Mapping[str, Any], int], Any],
) -> Any:
    """An instance of the schema: `value(name, leaf, item)` gives each leaf; an array of objects gets one
    element per item, any other array one element.
    """
    return _filled(schema, "", items, value, schema.get("$defs", {}))


def _filled(
    node: Mapping[str, Any],
    name: str,
    items: Sequence[int],
    value: Callable[[str, Mapping[str, Any], int], Any],
    defs: Mapping[str, Any],
) -> Any:
    if "$ref" in node:
        return _filled(defs[str(node["$ref"]).rsplit("/", 1)[-1]], name, items, value, defs)
    if "const" in node:
        return node["const"]
    if node.get("anyOf"):
        return _filled(node["anyOf"][0], name, items, value, defs)
    kinds = node.get("type", "string")
    kind = kinds if isinstance(kinds, str) else kinds[0]
    if kind == "object":
        return {
            key: _filled(inner, key, _narrowed(key, items), value, defs)
            for key, inner in node.get("properties", {}).items()
        }
    if kind == "array":
        inner = node["items"]
        per_item = inner.get("type") == "object" or "$ref" in inner
        groups = [[item] for item in items] if per_item else [items]
        return [_filled(inner, name, group, value, defs) for group in groups]
    return value(name, node, items[0] if items else 0)


def _narrowed(key: str, items: Sequence[int]) -> Sequence[int]:
    """An object with one property per item (`"1": {...}`): that property is about that item only."""
    return [int(key) - 1] if key.isdigit() and 0 < int(key) <= len(items) else items
