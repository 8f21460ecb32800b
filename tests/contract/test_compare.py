"""The comparison of schemas finds what would break a client, and nothing else."""

from typing import Any

import pytest

from tests.contract.compare import Comparison, Direction, Document

TEXT: dict[str, Any] = {"type": "string"}
NUMBER = {"type": "integer"}
NULL = {"type": "null"}


def _differences(direction: Direction, theirs: dict[str, Any], ours: dict[str, Any]) -> list[str]:
    document = Document({"components": {"schemas": {"Text": TEXT}}})
    return list(Comparison(document, document, direction, {"^.$": "^a$"}).differences(theirs, ours, "x"))


def _object(required: tuple[str, ...] = (), **properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(required)}


@pytest.mark.parametrize(
    ("direction", "theirs", "ours"),
    [
        ("request", TEXT, NUMBER),
        ("request", {"anyOf": [TEXT, NULL]}, TEXT),
        ("request", {"type": "number"}, NUMBER),
        ("request", {**TEXT, "maxLength": 9}, {**TEXT, "maxLength": 8}),
        ("request", {**NUMBER, "minimum": 1}, {**NUMBER, "minimum": 2}),
        ("request", {**TEXT, "enum": ["a", "b"]}, {**TEXT, "enum": ["a"]}),
        ("request", TEXT, {**TEXT, "enum": ["a"]}),
        ("request", {**TEXT, "pattern": "^a$"}, {**TEXT, "pattern": "^b$"}),
        ("request", _object(a=TEXT), {**_object(), "additionalProperties": False}),
        ("request", _object(a=TEXT), _object(("a",), a=TEXT)),
        ("request", _object(a=TEXT), _object(a=NUMBER)),
        ("request", {"type": "array", "items": TEXT}, {"type": "array", "items": NUMBER}),
        (
            "request",
            {"type": "object", "additionalProperties": True},
            {"type": "object", "additionalProperties": False},
        ),
        ("answer", TEXT, {"anyOf": [TEXT, NULL]}),
        ("answer", NUMBER, {"type": "number"}),
        ("answer", {**TEXT, "enum": ["a"]}, {**TEXT, "enum": ["a", "b"]}),
        ("answer", {**TEXT, "enum": ["a"]}, TEXT),
        ("answer", _object(a=TEXT), _object()),
        ("answer", _object(("a",), a=TEXT), _object(a=TEXT)),
        ("answer", {"$ref": "#/components/schemas/Text"}, NUMBER),
    ],
)
def test_what_would_break_a_client_is_found(direction: Direction, theirs: dict[str, Any], ours: dict[str, Any]) -> None:
    (found,) = _differences(direction, theirs, ours)

    assert found.startswith("x")


@pytest.mark.parametrize(
    ("direction", "theirs", "ours"),
    [
        ("request", TEXT, {"anyOf": [TEXT, NULL]}),
        ("request", NUMBER, {"type": "number"}),
        ("request", {**TEXT, "maxLength": 8}, {**TEXT, "maxLength": 9}),
        ("request", TEXT, {**TEXT, "maxLength": 9}),
        ("request", {**TEXT, "pattern": "^.$"}, {**TEXT, "pattern": "^a$"}),
        ("request", _object(("a",), a=TEXT), {**_object(a=TEXT, b=TEXT), "additionalProperties": False}),
        ("request", {"$ref": "#/components/schemas/Text"}, TEXT),
        ("request", {}, {}),
        ("answer", {"anyOf": [TEXT, NULL]}, TEXT),
        ("answer", {**TEXT, "enum": ["a", "b"]}, {**TEXT, "const": "a"}),
        ("answer", _object(a=TEXT), _object(("a", "b"), a=TEXT, b=TEXT)),
    ],
)
def test_what_breaks_no_client_is_no_difference(
    direction: Direction, theirs: dict[str, Any], ours: dict[str, Any]
) -> None:
    assert _differences(direction, theirs, ours) == []
