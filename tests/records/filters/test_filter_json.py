"""`filter={...}`."""

import json
from collections.abc import Callable
from typing import Any

import pytest

Said = Callable[..., dict[str, Any]]
Refusal = Callable[..., str]


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ('{"name":"rt"}', {"name": {"$eq": "rt"}}),
        ('{"name":{"$like":"ra"}}', {"name": {"$like": "ra"}}),
        ('{"name":{"$in":["a",null]}}', {"name": {"$in": ["a", None]}}),
        ('{"name":{"$in":[]}}', {"name": {"$in": []}}),
        ('{"name":{"$gt":"a","$lt":"b"}}', {"name": {"$gt": "a", "$lt": "b"}}),
        ('{"name":"a","project":null}', {"name": {"$eq": "a"}, "project": {"$eq": None}}),
        ('{"$and":[{"name":"a"},{"id":"b"}]}', {"name": {"$eq": "a"}, "id": {"$eq": "b"}}),
        ('{"$or":[{"name":"a"},{"name":"b"}]}', {"$or": [{"name": {"$eq": "a"}}, {"name": {"$eq": "b"}}]}),
        ('{"$or":[{"name":"a"}]}', {"name": {"$eq": "a"}}),
        ('{"$not":{"name":"a","id":"b"}}', {"$not": {"name": {"$eq": "a"}, "id": {"$eq": "b"}}}),
        ('{"name":{"$not":{"$like":"a"}}}', {"$not": {"name": {"$like": "a"}}}),
        ('{"data":{"a":{"b":{"$gt":1},"c":2}}}', {"data.a.b": {"$gt": 1}, "data.a.c": {"$eq": 2}}),
        ('{"fileset":{"name":"x"}}', {"fileset.name": {"$eq": "x"}}),
        ('{"adapters":{"finetuning_type":"lora"}}', {"adapters": {"finetuning_type": {"$eq": "lora"}}}),
        ('{"adapters.name":"x"}', {"adapters": {"name": {"$eq": "x"}}}),
        ('{"adapters":{"$exists":false}}', {"adapters": {"$exists": False}}),
        ('{"adapters":null}', {"adapters": {"$exists": False}}),
    ],
)
def test_what_is_written_and_what_is_meant(said: Said, written: str, meant: dict[str, Any]) -> None:
    assert said(written) == meant


def test_groups_of_the_same_sort_are_one_group(said: Said) -> None:
    a, b, c = ({"name": {"$eq": letter}} for letter in "abc")
    for word in ("$and", "$or"):
        assert said(json.dumps({word: [{word: [a, b]}, c]})) == {word: [a, b, c]}


def test_siblings_of_a_logical_key_are_kept(said: Said) -> None:
    assert said('{"name":"a","$or":[{"id":"b"},{"id":"c"}],"$not":{"id":"d"},"description":"e"}') == {
        "name": {"$eq": "a"},
        "$or": [{"id": {"$eq": "b"}}, {"id": {"$eq": "c"}}],
        "$not": {"id": {"$eq": "d"}},
        "description": {"$eq": "e"},
    }


def test_fields_of_one_relation_speak_of_one_child_and_may_be_joined(said: Said) -> None:
    written = '{"adapters":{"$exists":true,"name":"a","$or":[{"finetuning_type":"lora"},{"name":"b"}]}}'
    assert said(written) == {
        "$and": [
            {"adapters": {"$exists": True}},
            {
                "adapters": {
                    "name": {"$eq": "a"},
                    "$or": [{"finetuning_type": {"$eq": "lora"}}, {"name": {"$eq": "b"}}],
                }
            },
        ]
    }


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("{}", "The filter has no criteria"),
        ('{"$or":[{}]}', "The filter has no criteria"),
        ('{"name":{}}', "Filter field 'name' has no criteria"),
        ('{"adapters":{}}', "Filter field 'adapters' has no criteria"),
        ('{"name":"a"', "Invalid JSON in filter: Expecting ',' delimiter at character 12"),
        ('{"name":NaN}', "NaN is not a JSON value"),
        ('{"data.x":-Infinity}', "-Infinity is not a JSON value"),
        ('{"data.x":' + "9" * 5000 + "}", "too long"),
        ('{"name":"a","name":"b"}', "Key 'name' stands twice"),
        ('{"$or":{"name":"a"}}', "Operator $or takes a list of at least one filter, not an object"),
        ('{"$and":[]}', "Operator $and takes a list of at least one filter"),
        ('{"$and":["name"]}', 'A filter in JSON is an object such as {"name": "x"}, not "name"'),
        ('{"$not":[{"name":"a"}]}', "A filter in JSON is an object"),
        ('{"name":{"$not":"a"}}', "Operator $not on filter field 'name' takes an object"),
        ('{"name":{"$or":["a"]}}', "Operator $or stands outside of filter field 'name'"),
        ('{"$like":"a"}', "Operator $like needs a field"),
        (
            '{"$bogus":1}',
            "Unknown filter operator '$bogus'. Valid operators: $eq, $like, $lt, $lte, $gt, $gte, $in",
        ),
        ('{"name":{"$bogus":1}}', "Unknown filter operator '$bogus'"),
        ('{"name":{"like":"a"}}', "Filter field 'name' has no part 'like'; did you mean '$like'?"),
        (
            '{"adapters":{"$like":"a"}}',
            "Operator $like cannot be used on filter field 'adapters'; it takes $eq, $exists",
        ),
        ('{"nmae":"a"}', "did you mean 'name'?"),
        ('{"name":{"$in":"a"}}', "Operator $in on filter field 'name' takes a list, not \"a\""),
        ('{"name":["a"]}', "for one of several, use $in"),
        ('{"name":5}', "Filter field 'name' takes a string, not 5; put it in double quotes"),
        ('{"name":{"$like":null}}', "Filter field 'name' takes a string, not null"),
        ('{"name":{"$lt":null}}', "needs something that has an order, not null"),
        ('{"data.x":{"$lt":true}}', "needs something that has an order, not true"),
        ('{"data.x":[1]}', "takes a string, a number, true, false or null, not a list"),
        ('{"data.x":1e999}', "too large"),
        ('{"name":{"$exists":1}}', "Operator $exists takes true or false, not 1"),
        ('{"name":"\\ud800"}', "a character that no record can hold"),
        ('{"name":"a\\u0000"}', "a character that no record can hold"),
        ('{"\\ud800":1}', "Unknown filter field '\\ud800'"),
    ],
)
def test_what_cannot_be_read_is_named_with_its_mend(refusal: Refusal, written: str, message: str) -> None:
    assert message in refusal(written)


def test_messages_are_short_and_can_be_encoded(refusal: Refusal) -> None:
    message = refusal('{"' + "\\ud800\\n" * 1000 + '":1}')
    message.encode()
    assert len(message) < 600
