"""Made-up tables of one member."""

import numpy as np

from mesh_fl.errors import DataError
from mesh_fl.schema import Field, column_of
from mesh_fl.site import OwnRows, OwnTable

DAY = 86_400.0
NOW = 20_500 * DAY

KINDS = {
    "firewall": ("blocked", "allowed"),
    "rmm": ("cpu_high", "disk_low", "offline"),
    "edr": ("quarantined",),
    "backup": ("backup_ok", "backup_failed"),
}


class MadeUp(OwnTable):
    """A table in memory; every read is counted."""

    def __init__(self, columns: dict[str, list[object]]) -> None:
        self.columns = columns
        self.reads = 0
        self.fault = ""
        self.left_out = 0

    @property
    def stamp(self) -> tuple[int, ...]:
        return (len(next(iter(self.columns.values()))),)

    def read(self, schema: tuple[Field, ...], key: str) -> OwnRows:
        self.reads += 1
        if self.fault:
            raise DataError(self.fault)
        count = len(self.columns[key])
        return OwnRows(
            {
                one.name: column_of(
                    one, [one.parse(value) for value in self.columns.get(one.name, [None] * count)]
                )
                for one in schema
            },
            self.left_out,
        )


def events(count: int = 3000, days: int = 30, seed: int = 0) -> MadeUp:
    """Return events whose sources have kinds of their own, spread evenly until `NOW`."""
    random = np.random.default_rng(seed)
    sources = random.choice(list(KINDS), count, p=[0.5, 0.3, 0.1, 0.1]).tolist()
    kinds = [str(random.choice(KINDS[one])) for one in sources]
    return MadeUp(
        {
            "event_id": [f"e{number}" for number in range(count)],
            "ts": np.sort(NOW - random.random(count) * days * DAY).round().astype(int).tolist(),
            "source": sources,
            "kind": kinds,
            "severity": random.choice([0, 1, 2], count, p=[0.7, 0.2, 0.1]).tolist(),
            "message": [f"{kind} on host{random.integers(99)}" for kind in kinds],
        }
    )


def replace_event(table: MadeUp, place: int, **columns: object) -> MadeUp:
    """Return the table with one event changed."""
    changed = {name: list(column) for name, column in table.columns.items()}
    for name, value in columns.items():
        changed[name][place] = value
    return MadeUp(changed)


def readings(series: dict[str, list[float]], step_s: float = 300.0) -> MadeUp:
    """Return series whose last reading is just before `NOW`."""
    rows = [
        (f"{name}-{number}", NOW - step_s * (len(values) - number), name, value)
        for name, values in series.items()
        for number, value in enumerate(values)
    ]
    ids, ts, names, values = (list(column) for column in zip(*rows, strict=True))
    return MadeUp({"metric_id": ids, "ts": ts, "series_id": names, "value": values})
