"""What an operator sets in server.toml."""

from pathlib import Path
from typing import Annotated, Literal, TypeVar

from pydantic import Field, ValidationInfo, field_validator

from mesh_fl.config import ConfigPath, Settings, load_toml

FILE = "server.toml"
T = TypeVar("T", bound=Settings)
AgentName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.:-]{0,199}$")]
Port = Annotated[int, Field(ge=0, le=65535)]


class PlanSettings(Settings):
    """The privacy promise to plan for; see `mesh_fl.privacy.plan.Plan`.

    Parameters
    ----------
    delta : float, optional
        The largest that the members' caps allow when left out.
    share : float
        Part of the budget (of the squared mu) that this training takes: agents that read the same
        records share it.
    epoch_steps : int
        Releases after which the members make new keys.
    """

    epsilon: float = Field(default=0.1, gt=0)
    delta: float | None = Field(default=None, gt=0, lt=1)
    share: float = Field(default=1.0, gt=0, le=1)
    rounds: int = Field(default=16, ge=1, le=10_000)
    measures: int = Field(default=1, ge=0)
    measure_share: float = Field(default=0.07, ge=0, lt=1)
    spares: int = Field(default=2, ge=0)
    epoch_steps: int = Field(default=8, ge=1)
    survivors: int = Field(default=4, ge=2)
    colluders: int = Field(default=1, ge=0)
    trust: Literal["distributed", "local"] = "distributed"


class WaitSettings(Settings):
    """How long to wait for whom.

    Parameters
    ----------
    timeout_s : float
        For the answers of one attempt.
    patience_s : float
        For the members of an open attempt after the server was restarted.
    quorum : int
        Members to wait for before the first round; at least the plan's survivors are.
    turn_s : float
        How long an agent whose members are not there keeps the next agent waiting.
    """

    timeout_s: float = Field(default=30.0, gt=0, le=3600)
    patience_s: float = Field(default=60.0, ge=0, le=3600)
    quorum: int = Field(default=0, ge=0)
    turn_s: float = Field(default=60.0, gt=0, le=86400)


class ExpectSettings(Settings):
    """What to forecast the quality of a training from, before it spends a budget.

    Parameters
    ----------
    data : str
        Name of a public set, "simulated" for records that the agent makes up, "none" for no
        forecast, or a file of public records: .npz, or a table with `map`.
    map : str
        TOML file with a [tables.X] section as in client.toml.
    records : int, optional
        That a typical member has; half of each member's cap when left out.
    """

    data: str = "simulated"
    map: str = ""
    records: int | None = Field(default=None, ge=1)

    @field_validator("data", "map")
    @classmethod
    def _from_folder(cls, word: str, info: ValidationInfo) -> str:
        """Take a file from the folder of the settings, whatever folder the server runs in."""
        folder = (info.context or {}).get("folder")
        if not Path(word).suffix or not isinstance(folder, Path):
            return word
        return str(folder / word)


class AgentSettings(Settings):
    """An agent to train: its configuration, and terms of its own.

    Parameters
    ----------
    config : dict
        The agent's own configuration.
    plan, expect : PlanSettings, ExpectSettings
        What differs from [plan] and [expect].
    """

    config: dict[str, object] = Field(default_factory=dict)
    plan: PlanSettings = PlanSettings()
    expect: ExpectSettings = ExpectSettings()


class ServerSettings(Settings):
    """All of server.toml.

    Parameters
    ----------
    agents : mapping
        The agents of this network by registered name, trained one after the other in this order.
    """

    name: str
    host: str = "127.0.0.1"
    port: Port = 9443
    status_port: Port = 9480
    ca: ConfigPath = Path("ca.crt")
    certificate: ConfigPath = Path("server.crt")
    key: ConfigPath = Path("server.key")
    plan: PlanSettings = PlanSettings()
    wait: WaitSettings = WaitSettings()
    expect: ExpectSettings = ExpectSettings()
    agents: dict[AgentName, AgentSettings] = Field(min_length=1)

    def plan_of(self, agent: str) -> PlanSettings:
        """Return the terms of an agent: its own, and [plan] where it names none."""
        return _over(self.plan, self.agents[agent].plan)

    def expect_of(self, agent: str) -> ExpectSettings:
        """Return what an agent is forecast from."""
        return _over(self.expect, self.agents[agent].expect)


def _over(general: T, own: T) -> T:
    return general.model_copy(update={name: getattr(own, name) for name in own.model_fields_set})


def load_settings(home: Path) -> ServerSettings:
    """Read the server.toml of a home."""
    return load_toml(home / FILE, ServerSettings, hint=f"mesh-server init {home}")
