"""Who is compared, and what a request to each looks like."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

_QUESTION = (
    "Which of the models that we trained in the spring is in force for the support desk, who changed its record last, "
    "and what has the change done to the answers? Say it in a few sentences, please."
)


class Side(Enum):
    """Who is compared."""

    DIRECT = "the mock itself"
    NGINX = "nginx"
    OURS = "Steelyard"
    PEER = "NeMo Platform"
    LITELLM = "LiteLLM"


class Case(Enum):
    """What a gateway does with the request beside passing it on."""

    PLAIN = "plain"
    TRANSLATED = "chat to Messages and back"
    PROMPT = "prompt applied"
    LIMITS = "three limits in force"


@dataclass(frozen=True)
class Route:
    """Where to send requests, and the names of the models, which they ask for in turn."""

    path: str
    models: Sequence[str] = field(default=("mock",))

    def bodies(self) -> list[str]:
        """One request for each model, for a whole answer."""
        return [json.dumps(_request(model, _QUESTION)) for model in self.models]

    def stream(self, chunks: int, pace_ms: int) -> str:
        """One request for a stream; the words about its pace are for the mock, and any gateway carries them to it."""
        question = f"{_QUESTION} chunks={chunks} pace={pace_ms}"
        return json.dumps({**_request(self.models[0], question), "stream": True})


def _request(model: str, question: str) -> dict[str, Any]:
    return {
        "model": model,
        "messages": [
            {"role": "system", "content": "You answer questions about the records of a model registry."},
            {"role": "user", "content": question},
        ],
        "temperature": 0.2,
        "max_tokens": 256,
    }
