"""What an operator tells members before they join: which agent, so configured, on what terms."""

from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, ValidationError

from mesh_fl.errors import ConfigError
from mesh_fl.privacy.plan import Plan


class Offer(BaseModel):
    """The file that `mesh-server plan --json` prints.

    Parameters
    ----------
    network : str
        Name of the network.
    agent, config : str, dict
        Which agent, and its configuration with the columns that it reads.
    plan : Plan
        The privacy promise.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    network: str
    agent: str
    config: dict[str, object]
    plan: Plan

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read an offer.

        Raises
        ------
        ConfigError
            If the file is missing or is no offer.
        """
        try:
            return cls.model_validate_json(path.read_bytes())
        except OSError as error:
            raise ConfigError(f"cannot read {path}: {error.strerror}") from None
        except ValidationError as error:
            problem = error.errors(include_url=False)[0]
            raise ConfigError(
                f"{path} is no offer ({'.'.join(map(str, problem['loc'])) or 'file'}: "
                f"{problem['msg']}): ask the operator for the output of `mesh-server plan --json`"
            ) from None
