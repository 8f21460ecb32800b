"""Prompts: named lists of messages, with the tools and parameters that belong to them. Templates are not evaluated."""

from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import Field, WithJsonSchema, WrapValidator
from pydantic_core import PydanticCustomError

from steelyard.records.filters.fields import FilterField, FilterFields
from steelyard.records.forms import Description, Form, JsonObject
from steelyard.records.inference import InferenceParams
from steelyard.records.kinds import Kind, ProjectName, Stamped, canonical_project, project_links
from steelyard.records.names import OpenName


class PromptMessageRole(StrEnum):
    """Who speaks in a message."""

    SYSTEM = "system"
    DEVELOPER = "developer"
    USER = "user"
    ASSISTANT = "assistant"


class PromptMessage(Form):
    """One message of a prompt."""

    role: PromptMessageRole
    content: str


class FunctionDefinition(Form):
    """A function that a model may call; `parameters` is a JSON Schema."""

    name: Annotated[str, Field(max_length=255)]
    description: str | None = None
    parameters: JsonObject | None = None
    strict: bool | None = None


class ChatCompletionTool(Form):
    """A tool that a model may use."""

    type: Literal["function"]
    function: FunctionDefinition


def _text_or_object(value: Any, handler: Any) -> Any:
    # A union of types would name our types in its faults; this says it in words.
    if not isinstance(value, (str, dict)):
        raise PydanticCustomError("tool_choice", "must be a text ('auto', 'none', 'required') or an object")
    return value


ToolChoice = Annotated[
    Any,
    WrapValidator(_text_or_object),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "object", "additionalProperties": True}]}),
]


class UpdatePromptRequest(Form):
    """All of a prompt that can change: what is absent gets its default, except that the project is kept."""

    description: Description | None = None
    messages: list[PromptMessage] = []
    input_variables: list[str] = []
    tools: list[ChatCompletionTool] | None = None
    tool_choice: ToolChoice | None = None
    response_format: JsonObject | None = None
    inference_params: InferenceParams | None = None
    tags: list[str] | None = None
    project: ProjectName | None = None


class CreatePromptRequest(UpdatePromptRequest):
    """A new prompt."""

    name: OpenName


class Prompt(Stamped, UpdatePromptRequest):
    """A prompt as it is answered."""

    name: OpenName
    workspace: OpenName
    tags: list[str] = []


PROMPT = Kind(
    name="prompt",
    title="Prompt",
    id_prefix="prompt",
    create=CreatePromptRequest,
    update=UpdatePromptRequest,
    answer=Prompt,
    order=tuple(UpdatePromptRequest.model_fields),
    defaults={"messages": [], "input_variables": [], "tags": []},
    put_style="replace",
    kept_when_absent=frozenset({"project"}),
    empty_clears=frozenset({"project"}),
    canonical=canonical_project,
    links=project_links,
    link_fields=frozenset({"project"}),
    filters=FilterFields(kind="prompt", fields=(FilterField.text("description"),)),
)
