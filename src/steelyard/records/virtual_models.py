"""Virtual models: names that callers ask for, and the models that answer for them."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from steelyard.errors import Fault, InvalidInput
from steelyard.records.filters.fields import FilterField, FilterFields
from steelyard.records.forms import Form, JsonObject
from steelyard.records.http_fields import HeaderName
from steelyard.records.inference import BackendFormat
from steelyard.records.kinds import Kind, Link, ProjectName, Stamped, canonical_project, project_links
from steelyard.records.model_names import MODEL_NAME_LENGTH, canonical_model_name, links_of
from steelyard.records.names import NarrowName

MOST_MODELS = 100
MOST_CALLS = 20

ModelText = Annotated[str, Field(min_length=1, max_length=MODEL_NAME_LENGTH)]


class VirtualModelInferenceConfig(Form):
    """A model that may answer. `backend_format` goes before the model's own.

    `weight` is its share of the requests: as soon as one has a share, those without one get none.
    """

    model: ModelText
    backend_format: BackendFormat | None = None
    weight: Annotated[int, Field(ge=0, le=1000)] | None = None


class MiddlewareCall(Form):
    """A step of a pipeline. The only one here is the translation between dialects, which happens by itself."""

    name: Annotated[str, Field(max_length=255)]
    config_type: Annotated[str, Field(max_length=255)]
    config: JsonObject | None = None
    config_id: Annotated[str, Field(max_length=511)] | None = None


_SUPPORTED = (
    "supported is {name: 'nemo-switchyard', config_type: 'translate', config: {}}, which asks for the translation that "
    "happens by itself"
)
_INSTEAD = {
    "random_routing": "give the models of the virtual model weights",
    "routellm_config": "give the models of the virtual model weights, or name fallbacks",
}


def _translates(call: MiddlewareCall) -> MiddlewareCall:
    if call.name != "nemo-switchyard" or call.config_type != "translate":
        hint = _INSTEAD.get(call.config_type)
        raise PydanticCustomError(
            "middleware", f"there is no such middleware here{f': {hint}' if hint else ''}; {_SUPPORTED}"
        )
    if call.config or call.config_id is not None:
        raise PydanticCustomError("middleware", f"the translation takes no configuration; {_SUPPORTED}")
    return call


def _no_step(call: MiddlewareCall) -> MiddlewareCall:
    raise PydanticCustomError("middleware", "there is no middleware that runs after an answer; usage is kept by itself")


def _no_proxy(text: str) -> str:
    raise PydanticCustomError("override_proxy", "there is no other proxy here: leave it out, or send null")


Pipeline = Annotated[list[Annotated[MiddlewareCall, AfterValidator(_translates)]], Field(max_length=MOST_CALLS)]
AfterAnswer = Annotated[list[Annotated[MiddlewareCall, AfterValidator(_no_step)]], Field(max_length=MOST_CALLS)]
Models = Annotated[list[VirtualModelInferenceConfig], Field(max_length=MOST_MODELS)]
Fallbacks = Annotated[list[ModelText], Field(max_length=MOST_MODELS)]


class Sticky(Form):
    """What keeps the requests of one caller at one model: the `user` of the request, or a header."""

    by: Literal["user", "header"]
    header: HeaderName | None = None

    @model_validator(mode="after")
    def _whole(self) -> "Sticky":
        if self.by == "header" and self.header is None:
            raise PydanticCustomError("sticky", "by 'header' needs the name of one in 'header'")
        if self.by == "user" and self.header is not None:
            raise PydanticCustomError("sticky", "'header' goes with by 'header'")
        return self


class VirtualModelFields(Form):
    """The fields that a caller may write.

    Requests go to those of `models` that have weights; where none has, to `default_model_entity`, or else to the first
    of `models`; and to `fallbacks`, in their order, when those fail. The server makes virtual models of its own for
    what providers serve (`autoprovisioned`).
    """

    default_model_entity: ModelText | None = None
    autoprovisioned: bool = False
    models: Models = []
    request_middleware: Pipeline = []
    response_middleware: Pipeline = []
    post_response_middleware: AfterAnswer = []
    override_proxy: Annotated[str, Field(max_length=255), AfterValidator(_no_proxy)] | None = None
    project: ProjectName | None = None
    fallbacks: Fallbacks = []
    sticky: Sticky | None = None


class UpdateVirtualModelRequest(VirtualModelFields):
    """A change of a virtual model: what is absent keeps its value, and null clears what can be empty."""


class CreateVirtualModelRequest(VirtualModelFields):
    """A new virtual model."""

    name: NarrowName


class VirtualModel(Stamped, VirtualModelFields):
    """A virtual model as it is answered. `entity_id` is its id; `parent` is always null."""

    name: NarrowName
    workspace: NarrowName
    created_by: str | None
    updated_by: str | None
    entity_id: str
    parent: str | None


def candidates(fields: dict[str, Any]) -> list[str]:
    """The models that requests go to first, in their order."""
    weighted = [one["model"] for one in fields["models"] if one["weight"]]
    if weighted:
        return weighted
    named = [fields["default_model_entity"], *(one["model"] for one in fields["models"])]
    return [name for name in named if name][:1]


def check_whole(fields: dict[str, Any]) -> None:
    """Raises InvalidInput if the parts of a virtual model do not go together."""
    faults = [
        Fault(("body", "fallbacks", index), "reference", f"{text!r} answers already; a fallback is another model")
        for index, text in enumerate(fields["fallbacks"])
        if text in candidates(fields)
    ]
    weights = [one["weight"] for one in fields["models"]]
    if any(weight is not None for weight in weights) and not any(weights):
        faults.append(Fault(("body", "models"), "weights", "at least one model needs a weight above 0"))
    if faults:
        raise InvalidInput(faults)


def _links(fields: dict[str, Any], workspace: str) -> list[Link]:
    links = project_links(fields, workspace)
    links += links_of("default_model_entity", fields["default_model_entity"], workspace)
    for one in fields["models"]:
        links += links_of("models", one["model"], workspace)
    for text in fields["fallbacks"]:
        links += links_of("fallbacks", text, workspace)
    return links


def _canonical(values: dict[str, Any], workspace: str, name: str) -> dict[str, Any]:
    canonical = dict(canonical_project(values, workspace, name))
    if default := values.get("default_model_entity"):
        canonical["default_model_entity"] = canonical_model_name(default, workspace, ("body", "default_model_entity"))
    if models := values.get("models"):
        places: list[tuple[str | int, ...]] = [("body", "models", index, "model") for index in range(len(models))]
        names = _each_once([one["model"] for one in models], workspace, places)
        canonical["models"] = [{**one, "model": text} for one, text in zip(models, names, strict=True)]
    if fallbacks := values.get("fallbacks"):
        places = [("body", "fallbacks", index) for index in range(len(fallbacks))]
        canonical["fallbacks"] = _each_once(fallbacks, workspace, places)
    return canonical


def _each_once(texts: list[str], workspace: str, places: list[tuple[str | int, ...]]) -> list[str]:
    seen: dict[str, None] = {}
    for text, place in zip(texts, places, strict=True):
        name = canonical_model_name(text, workspace, place)
        if name in seen:
            raise InvalidInput.of(place, "reference", f"{name!r} stands twice in the list")
        seen[name] = None
    return list(seen)


VIRTUAL_MODEL = Kind(
    name="virtual-model",
    title="Virtual model",
    id_prefix="virtual-model",
    create=CreateVirtualModelRequest,
    update=UpdateVirtualModelRequest,
    answer=VirtualModel,
    order=tuple(VirtualModelFields.model_fields),
    defaults={
        "autoprovisioned": False,
        "models": [],
        "request_middleware": [],
        "response_middleware": [],
        "post_response_middleware": [],
        "fallbacks": [],
    },
    null_clears=frozenset({"default_model_entity", "override_proxy", "sticky"}),
    empty_clears=frozenset({"project", "default_model_entity"}),
    read_only=(
        *("id", "name", "workspace", "created_at", "created_by", "updated_at", "updated_by", "revision"),
        *("entity_id", "parent"),
    ),
    structs=frozenset({"models", "sticky"}),
    omits_nulls=False,
    default_sort="-created_at",
    provisioned="autoprovisioned",
    canonical=_canonical,
    links=_links,
    link_fields=frozenset({"project", "default_model_entity", "models", "fallbacks"}),
    reference_keys=frozenset({"model"}),
    unsaid=lambda _: frozenset({"autoprovisioned"}),
    filters=FilterFields(
        kind="virtual-model",
        fields=(FilterField.reference("default_model_entity"), FilterField.flag("autoprovisioned")),
    ),
)
