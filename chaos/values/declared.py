"""Base of what users declare, in YAML by Istio's camelCase keys and in Python by snake_case names."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Final

from pydantic import BaseModel, ConfigDict, Field, GetJsonSchemaHandler
from pydantic.alias_generators import to_camel
from pydantic_core import CoreSchema

NAME_PATTERN: Final = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"

Name = Annotated[str, Field(pattern=NAME_PATTERN, max_length=63)]


class Declared(BaseModel):
    """Base of all declared data: frozen, and a key that isn't known is an error.

    Aliases come from a generator, and not from ``Field(alias=…)``: so type checkers see the names that Python users write.
    A class whose first values may be given by their place names them in ``positional``; its ``__init__`` under
    ``TYPE_CHECKING`` has the types that a user may pass, such as ``"3s"`` for a duration.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True, alias_generator=to_camel)

    positional: ClassVar[tuple[str, ...]] = ()

    def __init__(self, /, *values: Any, **fields: Any) -> None:
        if len(values) > len(self.positional):
            raise TypeError(f"{type(self).__name__}: expected at most {len(self.positional)} values by their place")
        super().__init__(**dict(zip(self.positional, values, strict=False)), **fields)

    __init__.__pydantic_base_init__ = True  # type: ignore[attr-defined]  # validation of YAML goes past it

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """Described by the first paragraph of the docstring; the rest is for Python users."""
        found = handler(schema)
        described = handler.resolve_ref_schema(found)
        described["description"] = described.get("description", "").partition("\n\n")[0]
        return found
