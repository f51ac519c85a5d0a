"""What a member sets in client.toml."""

from collections.abc import Mapping
from pathlib import Path

from pydantic import Field, model_validator

from mesh_fl.card import Name
from mesh_fl.client.data import TableSource
from mesh_fl.config import ConfigPath, Settings, load_toml
from mesh_fl.errors import ConfigError
from mesh_fl.privacy.plan import Policy

FILE = "client.toml"


class PrivacySettings(Settings):
    """What this member insists on (see `mesh_fl.privacy.plan.Policy`), and its pace.

    Parameters
    ----------
    pace_s : float
        Answers leave whole multiples of this after an ask; 0 for at once.
    """

    epsilon: float = Field(default=0.1, gt=0)
    delta: float = Field(default=1e-5, gt=0, lt=1)
    survivors: int = Field(default=4, ge=2)
    colluders: int = Field(default=1, ge=0)
    pace_s: float = Field(default=0.1, ge=0, le=60)

    def policy(self) -> Policy:
        """Return the policy that the ledger enforces."""
        return Policy(**self.model_dump(exclude={"pace_s"}))


class AgentChoice(Settings):
    """An agent that this member opts into.

    Parameters
    ----------
    table : str, optional
        The table that it may learn from; without one it answers from public knowledge only.
    tables : tuple of str
        Several tables instead, of which it makes its records; each has the name of a table of
        `mesh_fl.msp_tables`.
    files : mapping
        Public reference files that its answers cite, by the names that the agent knows them by.
    """

    table: str | None = None
    tables: tuple[str, ...] = ()
    files: Mapping[str, ConfigPath] = {}

    @model_validator(mode="after")
    def _one_way(self) -> "AgentChoice":
        if self.table is not None and self.tables:
            raise ValueError("expected table or tables, found both")
        if len(set(self.tables)) < len(self.tables):
            raise ValueError(f"a table is named twice in {', '.join(self.tables)}")
        return self

    @property
    def learns_from(self) -> tuple[str, ...]:
        """The tables that it learns from, the one way or the other."""
        return self.tables if self.table is None else (self.table,)


class ServeSettings(Settings):
    """Where answers are served; on this machine alone unless told otherwise."""

    host: str = "127.0.0.1"
    port: int = Field(default=8700, ge=0, le=65535)


class ClientSettings(Settings):
    """All of client.toml.

    Parameters
    ----------
    server : str, optional
        The operator's, HOST:PORT; a member alone has none.
    deal : mapping
        Agents that share out a table's records, by table: each record teaches one of them only,
        which has its whole budget. Otherwise agents that read a table share each record's budget.
    """

    name: Name
    server: str | None = Field(
        default=None, pattern=r"^([A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\]):[0-9]{1,5}$"
    )
    ca: ConfigPath = Path("ca.crt")
    serve: ServeSettings = ServeSettings()
    privacy: PrivacySettings = PrivacySettings()
    tables: Mapping[str, TableSource] = Field(default_factory=dict)
    agents: Mapping[str, AgentChoice] = Field(default_factory=dict)
    deal: Mapping[str, tuple[str, ...]] = Field(default_factory=dict)

    @property
    def operator(self) -> str:
        """Where the operator's server is.

        Raises
        ------
        ConfigError
            If none is named.
        """
        if self.server is None:
            raise ConfigError(
                f'{FILE} names no server: add server = "HOST:PORT", which the operator tells'
            )
        return self.server

    @model_validator(mode="after")
    def _tables_exist(self) -> "ClientSettings":
        for name, choice in self.agents.items():
            for table in choice.learns_from:
                if table not in self.tables:
                    known = ", ".join(self.tables) or "none"
                    raise ValueError(
                        f"agents.{name} reads table {table!r}, described are: {known}; "
                        f"add [tables.{table}]"
                    )
        files = [_file(source.path) for source in self.tables.values()]
        if len(set(files)) < len(files):
            raise ValueError("two tables read one file: its records would have two budgets")
        return self

    @model_validator(mode="after")
    def _dealt_to_agents(self) -> "ClientSettings":
        for table, agents in self.deal.items():
            if table not in self.tables or len(set(agents)) < 2 or len(set(agents)) < len(agents):
                raise ValueError(
                    f"deal.{table}: expected two or more agents that share out a table of ours, "
                    f"found {', '.join(agents) or 'none'}"
                )
            if strangers := set(agents) - set(self.agents):
                raise ValueError(
                    f"deal.{table}: {', '.join(sorted(strangers))}: opt in by [agents.NAME] first"
                )
        return self


def _file(path: Path) -> Path | tuple[int, int]:
    """Return what two paths to one file have in common, also where it has two names."""
    try:
        found = path.stat()
    except OSError:
        return path.resolve()
    return found.st_dev, found.st_ino


def load_settings(home: Path) -> ClientSettings:
    """Read the client.toml of a home."""
    return load_toml(home / FILE, ClientSettings, hint=f"mesh-client init {home}")
