"""What a stream has seen as JSON, from which another process goes on as if nothing had happened."""

from typing import Self

from pydantic import BaseModel, ConfigDict, ValidationError

from mesh_fl.errors import DataError


class StreamState(BaseModel):
    """A state; frozen. Floats are written so that they are read exactly."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @classmethod
    def loads(cls, text: str | bytes) -> Self:
        """Read it.

        Raises
        ------
        DataError
            If it was damaged or written by something else.
        """
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(one) for one in first["loc"])
            raise DataError(
                f"expected a state that was written by this version, found {where or 'text'}: "
                f"{first['msg']}: start anew without it"
            ) from None

    def dumps(self) -> str:
        """Write it."""
        return self.model_dump_json()
