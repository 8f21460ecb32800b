"""What a virtual model and a limit may say: pure functions."""

from typing import Any

import pytest

from steelyard.errors import InvalidInput
from steelyard.records.kinds import Kind
from steelyard.records.limits import LIMIT, check_measured
from steelyard.records.patch import read_new, read_update
from steelyard.records.virtual_models import VIRTUAL_MODEL, candidates, check_whole

TRANSLATE = {"name": "nemo-switchyard", "config_type": "translate"}


def taken(kind: Kind, **fields: Any) -> dict[str, Any]:
    """The fields of a record that is taken."""
    return dict(read_new(kind, {"name": "nn", **fields}, "home", "refuse")[1].values)


def faults(kind: Kind, **fields: Any) -> list[tuple[str | int, ...]]:
    """The places of what is wrong with a record of these fields."""
    with pytest.raises(InvalidInput) as refused:
        read_new(kind, {"name": "nn", **fields}, "home", "refuse")
    return [fault.location[1:] for fault in refused.value.faults]


def test_models_are_named_in_one_way_and_once() -> None:
    fields = taken(
        VIRTUAL_MODEL,
        default_model_entity="m",
        models=[{"model": "m", "weight": 1}, {"model": "w/n@prod"}],
        fallbacks=["base&adapters/a/x"],
    )
    assert fields["default_model_entity"] == "home/m"
    assert [one["model"] for one in fields["models"]] == ["home/m", "w/n@prod"]
    assert fields["fallbacks"] == ["home/base&adapters/a/x"]
    assert faults(VIRTUAL_MODEL, models=[{"model": "m"}, {"model": "home/m"}]) == [("models", 1, "model")]
    assert faults(VIRTUAL_MODEL, fallbacks=["m", "home/m"]) == [("fallbacks", 1)]


@pytest.mark.parametrize(
    ("fields", "place"),
    [
        ({"default_model_entity": "a/b/c"}, ("default_model_entity",)),
        ({"models": [{"model": ""}]}, ("models", 0, "model")),
        ({"models": [{"model": "m", "weight": -1}]}, ("models", 0, "weight")),
        ({"models": [{"model": "m", "backend_format": "GRPC"}]}, ("models", 0, "backend_format")),
        ({"models": None}, ("models",)),
        ({"request_middleware": None}, ("request_middleware",)),
        ({"override_proxy": "plugin.proxy"}, ("override_proxy",)),
        ({"sticky": {"by": "ip"}}, ("sticky", "by")),
        ({"sticky": {"by": "header"}}, ("sticky",)),
        ({"sticky": {"by": "user", "header": "X-A"}}, ("sticky",)),
        ({"sticky": {"by": "header", "header": "a b"}}, ("sticky", "header")),
    ],
)
def test_wrong_virtual_models(fields: dict[str, Any], place: tuple[str | int, ...]) -> None:
    assert faults(VIRTUAL_MODEL, **fields) == [place]


@pytest.mark.parametrize("field", ["request_middleware", "response_middleware"])
def test_the_translation_may_be_asked_for(field: str) -> None:
    for call in (TRANSLATE, {**TRANSLATE, "config": {}}, {**TRANSLATE, "config": None, "config_id": None}):
        assert taken(VIRTUAL_MODEL, **{field: [call]})[field][0]["config_type"] == "translate"


@pytest.mark.parametrize(
    ("call", "hint"),
    [
        ({"name": "nemo-switchyard", "config_type": "random_routing", "config": {"weights": {}}}, "weights"),
        ({"name": "nemo-guardrails", "config_type": "rails", "config": {}}, "there is no such middleware"),
        ({"name": "other", "config_type": "translate", "config": {}}, "there is no such middleware"),
        ({**TRANSLATE, "config": {"to": "anthropic"}}, "takes no configuration"),
        ({**TRANSLATE, "config_id": "w/c"}, "takes no configuration"),
    ],
)
def test_other_middleware_is_refused_with_what_there_is_instead(call: dict[str, Any], hint: str) -> None:
    for field in ("request_middleware", "response_middleware"):
        with pytest.raises(InvalidInput) as refused:
            taken(VIRTUAL_MODEL, **{field: [TRANSLATE, call]})
        (fault,) = refused.value.faults
        assert (fault.location, fault.type) == (("body", field, 1), "middleware")
        assert hint in fault.message
        assert "nemo-switchyard" in fault.message
    assert faults(VIRTUAL_MODEL, post_response_middleware=[TRANSLATE]) == [("post_response_middleware", 0)]


@pytest.mark.parametrize(
    ("fields", "names"),
    [
        ({}, []),
        ({"default_model_entity": "d"}, ["home/d"]),
        ({"models": [{"model": "a"}, {"model": "b"}]}, ["home/a"]),
        ({"default_model_entity": "d", "models": [{"model": "a"}]}, ["home/d"]),
        ({"models": [{"model": "a", "weight": 0}, {"model": "b", "weight": 2}, {"model": "c"}]}, ["home/b"]),
    ],
)
def test_who_answers(fields: dict[str, Any], names: list[str]) -> None:
    assert candidates(taken(VIRTUAL_MODEL, **fields)) == names


@pytest.mark.parametrize(
    ("fields", "place"),
    [
        ({"models": [{"model": "a", "weight": 0}, {"model": "b"}]}, ("body", "models")),
        ({"default_model_entity": "d", "fallbacks": ["x", "d"]}, ("body", "fallbacks", 1)),
        ({"models": [{"model": "a", "weight": 1}], "fallbacks": ["home/a"]}, ("body", "fallbacks", 0)),
    ],
)
def test_parts_that_do_not_go_together(fields: dict[str, Any], place: tuple[str | int, ...]) -> None:
    with pytest.raises(InvalidInput) as refused:
        check_whole(taken(VIRTUAL_MODEL, **fields))
    assert [fault.location for fault in refused.value.faults] == [place]


def test_a_fallback_may_have_its_format_among_the_models() -> None:
    models = [{"model": "a", "weight": 1}, {"model": "b", "backend_format": "ANTHROPIC_MESSAGES"}]
    check_whole(taken(VIRTUAL_MODEL, models=models, fallbacks=["b"]))


def test_null_clears_what_can_be_empty() -> None:
    body = {"default_model_entity": None, "override_proxy": None, "sticky": None, "project": None}
    assert read_update(VIRTUAL_MODEL, body, "home", "nn", "refuse").values == {
        "default_model_entity": None,
        "override_proxy": None,
        "sticky": None,
    }
    with pytest.raises(InvalidInput):
        read_update(VIRTUAL_MODEL, {"fallbacks": None}, "home", "nn", "refuse")


def test_what_a_virtual_model_links_to() -> None:
    fields = taken(
        VIRTUAL_MODEL, default_model_entity="a@prod", models=[{"model": "b"}], fallbacks=["c&adapters/w/x"], project="p"
    )
    assert {(link.field, link.target_kind, str(link.target)) for link in VIRTUAL_MODEL.links(fields, "home")} == {
        ("project", "project", "home/p"),
        ("default_model_entity", "alias", "home/a@prod"),
        ("models", "model", "home/b"),
        ("fallbacks", "model", "home/c"),
        ("fallbacks", "adapter", "w/x"),
    }


@pytest.mark.parametrize(
    ("fields", "place"),
    [
        ({"requests_per_minute": 0}, ("requests_per_minute",)),
        ({"tokens_per_minute": 1.5}, ("tokens_per_minute",)),
        ({"budget": {"amount": 0, "period": "day"}}, ("budget", "amount")),
        ({"budget": {"amount": 1}}, ("budget", "period")),
        ({"budget": {"amount": 1, "period": "week"}}, ("budget", "period")),
        ({"budget": {"amount": 1, "period": "day", "currency": "usd"}}, ("budget", "currency")),
        ({"model": "a/b/c"}, ("model",)),
        ({"key": ""}, ("key",)),
    ],
)
def test_wrong_limits(fields: dict[str, Any], place: tuple[str | int, ...]) -> None:
    assert faults(LIMIT, **fields) == [place]


def test_a_limit_limits_something() -> None:
    with pytest.raises(InvalidInput):
        check_measured(taken(LIMIT, model="m"))
    check_measured(taken(LIMIT, requests_per_minute=1))
    fields = taken(LIMIT, model="m", budget={"amount": 5, "period": "month"})
    check_measured(fields)
    assert (fields["model"], fields["budget"]["currency"]) == ("home/m", "USD")
    assert (fields["enabled"], fields["per_key"]) == (True, False)
