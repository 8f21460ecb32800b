"""What every kind of record says of itself holds together."""

import pytest

from steelyard.errors import InvalidInput
from steelyard.records.kinds import Kind
from steelyard.records.models import MODEL
from steelyard.records.patch import read_new, read_update
from steelyard.records.registry import KINDS

EACH = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)


@EACH
def test_the_parts_of_a_kind_fit(kind: Kind) -> None:
    assert set(kind.create.model_fields) - {"name"} >= set(kind.order) - {"project"} - set(kind.read_only)
    for fields in (kind.defaults, kind.null_clears, kind.empty_clears, kind.structs, kind.kept_when_absent):
        assert set(fields) <= set(kind.order)
    assert {path.split(".")[0] for path in (*kind.secrets, *kind.contents)} <= set(kind.order)
    # A secret that is a field of its own is in no answer at all.
    shown = set(kind.order) - set(kind.secrets)
    assert shown | {"id", "name", "created_at", "updated_at", "revision"} <= set(kind.answer.model_fields)
    assert not set(kind.secrets) & set(kind.answer.model_fields)
    assert kind.filters.kind == kind.name


@EACH
def test_a_complete_record_has_every_field(kind: Kind) -> None:
    complete = kind.complete({})
    assert tuple(complete) == kind.order
    assert complete == {key: kind.defaults.get(key) for key in kind.order}
    assert kind.complete({kind.order[0]: None})[kind.order[0]] == kind.defaults.get(kind.order[0])


@EACH
def test_no_filter_reads_a_secret(kind: Kind) -> None:
    assert set(kind.secrets) <= set(kind.filters.secret_paths)


@EACH
def test_the_fields_of_a_form_are_refused_by_no_other_name(kind: Kind) -> None:
    for read in (
        lambda body: read_new(kind, {"name": "nn", **body}, "w", "refuse"),
        lambda body: read_update(kind, body, "w", "n", "refuse"),
    ):
        with pytest.raises(InvalidInput) as raised:
            read({"no_such_field": 1})
        assert ("body", "no_such_field") in [fault.location for fault in raised.value.faults]


def test_what_a_model_links_to() -> None:
    fields = MODEL.complete(
        {"project": "pr", "fileset": "a/fs", "base_model": "b/base", "model_providers": ["c/p", "d/q"]}
    )
    links = MODEL.links(fields, "home")
    assert {(link.field, link.target_kind, str(link.target)) for link in links} == {
        ("project", "project", "home/pr"),
        ("fileset", "fileset", "a/fs"),
        ("base_model", "model", "b/base"),
        ("model_providers", "model-provider", "c/p"),
        ("model_providers", "model-provider", "d/q"),
    }
    assert MODEL.links(MODEL.complete({}), "home") == []
