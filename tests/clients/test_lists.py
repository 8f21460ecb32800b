"""The SDK lists: it walks pages by itself, sorts, and writes filters as nested dicts, which go out in brackets."""

from typing import Any

import pytest
from nemo_platform import NeMoPlatform  # type: ignore[import-not-found,unused-ignore]

NAMES = [f"model-{number}" for number in range(7)]


@pytest.fixture
def models(sdk: NeMoPlatform) -> NeMoPlatform:
    """The client, in a workspace with seven models, each made from the one before."""
    for number, name in enumerate(NAMES):
        sdk.models.create(
            name=name,
            description=f"Number {number}",
            base_model=NAMES[number - 1] if number else "",
            **({"finetuning_type": "lora", "prompt": {"system_prompt": "x"}} if number % 2 else {}),
        )
    return sdk


def _names(page: Any) -> list[str]:
    return [record.name for record in page]


@pytest.mark.parametrize("page_size", [1, 3, 7, 1000])
def test_a_walk_over_pages_finds_every_model_once(models: NeMoPlatform, page_size: int) -> None:
    assert _names(models.models.list(page_size=page_size)) == NAMES


def test_a_page_says_where_it_is(models: NeMoPlatform) -> None:
    page = models.models.list(page_size=3, page=3)

    assert [model.name for model in page.data] == NAMES[6:]
    found = page.pagination
    assert (found.page, found.page_size, found.current_page_size) == (3, 3, 1)
    assert (found.total_pages, found.total_results) == (3, 7)
    assert not page.has_next_page()


def test_a_page_past_the_end_is_empty_and_keeps_the_totals(models: NeMoPlatform) -> None:
    page = models.models.list(page_size=3, page=9)

    assert (page.data, page.pagination.total_results) == ([], 7)


@pytest.mark.parametrize("field", ["name", "created_at", "updated_at"])
def test_lists_are_sorted_both_ways(models: NeMoPlatform, field: str) -> None:
    assert _names(models.models.list(sort=field, page_size=2)) == NAMES
    assert _names(models.models.list(sort=f"-{field}", page_size=2)) == NAMES[::-1]


@pytest.mark.parametrize(
    ("filter", "numbers"),
    [
        ({"name": "model-2"}, [2]),
        ({"name": {"$eq": "model-2"}}, [2]),
        ({"name": {"$like": "MODEL"}}, [0, 1, 2, 3, 4, 5, 6]),
        ({"name": {"$like": "model_"}}, []),
        ({"name": {"$in": ["model-1", "model-5", "none"]}}, [1, 5]),
        ({"name": {"$nin": ["model-1", "model-5"]}}, [0, 2, 3, 4, 6]),
        ({"name": {"$gte": "model-2", "$lt": "model-4"}}, [2, 3]),
        ({"description": {"$like": "number 3"}}, [3]),
        ({"finetuning_type": "lora"}, [1, 3, 5]),
        ({"finetuning_type": "lora", "name": {"$like": "3"}}, [3]),
        ({"base_model": True}, [1, 2, 3, 4, 5, 6]),
        ({"base_model": False}, [0]),
        ({"base_model": "model-0"}, [1]),
        ({"prompt": True}, [1, 3, 5]),
        ({"adapters": True}, []),
        ({"created_at": {"gte": "2020-01-01", "lte": "2999-01-01"}}, [0, 1, 2, 3, 4, 5, 6]),
        ({"created_at": {"gte": "2999-01-01"}}, []),
    ],
)
def test_filters_are_nested_dicts(models: NeMoPlatform, filter: dict[str, Any], numbers: list[int]) -> None:
    page = models.models.list(filter=filter, page_size=2, sort="name")

    assert page.pagination.total_results == len(numbers)
    assert _names(page) == [NAMES[number] for number in numbers]


def test_a_minus_lists_every_workspace(models: NeMoPlatform) -> None:
    other = f"{models.workspace}-b"
    models.workspaces.create(name=other)
    models.models.create(name="model-0", workspace=other)

    found = models.models.list(workspace="-", filter={"name": "model-0"}, page_size=1)

    assert {models.workspace, other} <= {model.workspace for model in found}


def test_fields_that_are_null_are_left_out_of_lists_and_read_as_none(models: NeMoPlatform) -> None:
    (model,) = models.models.list(filter={"name": "model-0"})

    assert (model.spec, model.project) == (None, None)
    assert "spec" not in model.model_fields_set


def test_workspaces_and_projects_are_filtered_by_text(sdk: NeMoPlatform) -> None:
    for name in ("one", "two", "three"):
        sdk.projects.create(name=name, description=f"Project {name}")

    assert _names(sdk.projects.list(filter='name~"t"', sort="name", page_size=1)) == ["three", "two"]
    assert _names(sdk.projects.list(filter='{"description": {"$like": "one"}}')) == ["one"]
    assert _names(sdk.projects.list()) == ["three", "two", "one"]
    assert _names(sdk.workspaces.list(filter=f'name:"{sdk.workspace}"')) == [sdk.workspace]
    assert {"default", "system"} <= set(_names(sdk.workspaces.list(page_size=2)))
