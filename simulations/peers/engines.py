"""Which engines there are, and what a reader has to know of each."""

import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from environments import interpreter

from mesh_fl.errors import ConfigError

HERE = Path(__file__).parent
OURS = "mesh_fl"


@dataclass(frozen=True)
class Engine:
    """One of those that are compared.

    Parameters
    ----------
    name : str
        As `--only` takes it.
    title : str
        As tables show it.
    script : str
        The file beside this one that does the task with it, or a module of this project.
    rounds : int
        How many it makes unless told otherwise: figures are per client and round.
    private : str
        What it does when the task is private.
    own_environment : bool
        Whether it needs packages that this project does not.
    note : str
        Where it departs from the task.
    """

    name: str
    title: str
    script: str
    rounds: int
    private: str
    own_environment: bool = False
    note: str = ""

    def command(self, environments: Path, scratch: Path) -> list[str]:
        """Return how to start it; this may install it first, and copies its files to `scratch`.

        NVFLARE takes no file that is a link to another folder.
        """
        stem = self.script.removesuffix(".py")
        if not self.own_environment:
            is_file = stem != self.script
            return [sys.executable, *([self.script] if is_file else ["-m", self.script])]
        for file in HERE.glob("*.py"):
            shutil.copy(file, scratch)
        return [str(interpreter(stem, environments)), str(scratch / self.script)]

    def environment(self, scratch: Path) -> dict[str, str]:
        """Return the variables under which it writes to `scratch` only, one thread a process."""
        path = scratch if self.own_environment else HERE.parents[1]
        return {
            "HOME": str(scratch),
            "TMPDIR": str(scratch),
            "PYTHONPATH": str(path),
            "OMP_NUM_THREADS": "1",
            "OPENBLAS_NUM_THREADS": "1",
            "MKL_NUM_THREADS": "1",
            "FLWR_TELEMETRY_ENABLED": "0",
            "FLWR_DISABLE_UPDATE_CHECK": "1",
            "RAY_USAGE_STATS_ENABLED": "0",
        }


ENGINES = (
    Engine(
        "floor",
        "numpy alone",
        "mesh_fl.simulate.speed.floor",
        rounds=100,
        private="clips each client's update, adds one draw of float noise to the sum",
    ),
    Engine(
        OURS,
        "mesh_fl, numpy",
        "mesh_fl.simulate.speed.builtin",
        rounds=100,
        private="clips and rounds each client's update to integers, adds noise by a plan",
    ),
    Engine(
        "mesh_fl_torch",
        "mesh_fl, torch",
        "mesh_fl.simulate.speed.torch_module",
        rounds=100,
        private="as mesh_fl, numpy",
    ),
    Engine(
        "pfl",
        "pfl-research 0.6",
        "pfl_research.py",
        rounds=100,
        private="CentrallyAppliedPrivacyMechanism(GaussianMechanism): clips each, noise on the sum",
        own_environment=True,
    ),
    Engine(
        "flower",
        "Flower 1.41, Ray",
        "flower_ray.py",
        rounds=20,
        private="DifferentialPrivacyServerSideFixedClipping: clips each, noise on the mean",
        own_environment=True,
    ),
    Engine(
        "nvflare",
        "NVFLARE 2.9",
        "nvflare_simulator.py",
        rounds=20,
        private="a filter of ours at each site clips, and adds a share of the noise",
        own_environment=True,
        note="one site for each member of a cohort, so it learns from these clients only",
    ),
)


def chosen(only: str, quick: bool) -> list[Engine]:
    """Return the engines of a comma-separated list; all, or those at hand, where it is empty.

    Raises
    ------
    ConfigError
        If there is no engine of a name.
    """
    if not only:
        return [engine for engine in ENGINES if not (quick and engine.own_environment)]
    known = {engine.name: engine for engine in ENGINES}
    names = [name.strip() for name in only.split(",")]
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ConfigError(f"expected engines out of {', '.join(known)}, found {unknown[0]!r}")
    return [known[name] for name in names]
