"""What we take a left-out key to mean is what transformers takes it to mean."""

from typing import Any

import pytest
from transformers import CONFIG_MAPPING

from steelyard.inspect.defaults import DEFAULTS


@pytest.mark.parametrize("family", DEFAULTS)
def test_a_familys_defaults_are_those_of_its_config_class(family: str) -> None:
    made = CONFIG_MAPPING[family]()
    kind: Any = type(made)
    ours = dict(DEFAULTS[family])

    part = getattr(made, "text_config", None)
    assert ours.pop("text_config", None) == (
        part.model_type if part is not None and part.model_type != family else None
    )
    # What belongs to every config (as `tie_word_embeddings`) stands on the object, the rest on the class too.
    assert {key: getattr(kind, key, getattr(made, key, None)) for key in ours} == ours
