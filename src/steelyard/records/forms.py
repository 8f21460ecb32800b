"""What every form of a record shares: unknown fields are refused, and faults are told the way clients know them."""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, Literal, TypeAlias, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from steelyard.errors import Fault, InvalidInput

Location: TypeAlias = tuple[str | int, ...]

UnknownFields = Literal["refuse", "ignore"]

JsonObject = Annotated[dict[str, Any], Field(json_schema_extra={"additionalProperties": True})]
Description = Annotated[str, Field(max_length=1000)]

_ECHOED_LENGTH = 200
# A body of a megabyte can hold a hundred thousand faults; nobody reads them, and wording each takes time.
_FAULTS_TOLD = 100


class Shown(BaseModel):
    """An object that is answered; it is here for the documentation, and built when that is asked for."""

    model_config = ConfigDict(defer_build=True)


class Form(BaseModel):
    """An object that a caller sends: each field by its rule, and no field that we do not know.

    It is built when it is first used: the server need not wait for all of them to start.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, use_enum_values=True, allow_inf_nan=False, defer_build=True)


class OpenForm(Form):
    """A form that keeps the fields which it does not know, as the ones of inference engines."""

    model_config = ConfigDict(extra="allow")


F = TypeVar("F", bound=Form)


def validate(form: type[F], body: Any, *, secrets: Sequence[str] = (), unknown: UnknownFields = "refuse") -> F:
    """`body` as `form`; `secrets` are the paths (`a.b`) whose values are never echoed. Raises InvalidInput."""
    try:
        return form.model_validate(body)
    except ValidationError as error:
        faults = error.errors(include_url=False)
    if unknown == "ignore" and any(fault["type"] == "extra_forbidden" for fault in faults):
        known = _without(body, [fault["loc"] for fault in faults if fault["type"] == "extra_forbidden"])
        return validate(form, known, secrets=secrets)
    raise InvalidInput([_fault(form, fault, secrets) for fault in faults[:_FAULTS_TOLD]])


def _fault(form: type[Form], fault: Mapping[str, Any], secrets: Sequence[str]) -> Fault:
    location: Location = ("body", *fault["loc"])
    message: str = fault["msg"]
    if fault["type"] == "extra_forbidden":
        return Fault(location, "unknown_field", unknown_field_message(form, fault["loc"]))
    if fault["type"] == "model_type":  # the library's sentence would name our class
        return Fault(location, "model_attributes_type", "must be a JSON object")
    value = fault["input"]
    return Fault(location, fault["type"], message, value, show_value=_may_show(fault["loc"], value, secrets))


def unknown_field_message(form: type[BaseModel], location: Location, also: Iterable[str] = ()) -> str:
    """Says that the last step of `location` is no field of `form`, and which field is nearest."""
    name = str(location[-1])
    valid = [*_fields_at(form, location[:-1]), *also]
    nearest = difflib.get_close_matches(name, valid, n=1)
    hint = f"; did you mean {nearest[0]!r}?" if nearest else f"; valid fields: {', '.join(sorted(valid))}"
    return f"unknown field {name[:_ECHOED_LENGTH]!r}{hint}"


def unknown_step(form: type[BaseModel], path: Sequence[str]) -> Location:
    """The beginning of `path` up to the first step that no form has; empty where there is none.

    What stands in an object of the caller's own, or in a form that is open, may have any name.
    """
    inside: type[BaseModel] | None = form
    for number, step in enumerate(path, 1):
        if inside is None or inside.model_config.get("extra") == "allow":
            break
        field = inside.model_fields.get(step)
        if field is None:
            return tuple(path[:number])
        inside = _nested_form(field.annotation)
    return ()


def _fields_at(form: type[BaseModel], path: Location) -> list[str]:
    """The names of the fields of the form that stands at `path` below `form`."""
    for step in path:
        field = form.model_fields.get(str(step))
        nested = _nested_form(field.annotation) if field else None
        if nested is not None:
            form = nested
    return list(form.model_fields)


def _nested_form(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for argument in getattr(annotation, "__args__", ()):
        found = _nested_form(argument)
        if found is not None:
            return found
    return None


def _may_show(location: Location, value: Any, secrets: Sequence[str]) -> bool:
    """A value is echoed when it is small, plain, and neither a secret nor something that may hold one."""
    if not isinstance(value, (str, int, float, bool)) or (isinstance(value, str) and len(value) > _ECHOED_LENGTH):
        return False
    path = ".".join(step for step in location if isinstance(step, str))
    # A secret sent in the wrong place stands beside its own: nothing under the same parent is echoed.
    return not any(path == secret or path.startswith(secret.split(".", maxsplit=1)[0]) for secret in secrets)


def _without(body: Any, places: Iterable[Location]) -> Any:
    """A copy of `body` without the keys at `places`."""
    copy = _copied(body)
    for place in places:
        holder = copy
        for step in place[:-1]:
            holder = holder[step]
        holder.pop(place[-1], None)
    return copy


def _copied(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _copied(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_copied(item) for item in value]
    return value
