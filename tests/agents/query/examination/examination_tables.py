"""Tables of a made-up provider as CSV files, the same at every run."""

import csv
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from pathlib import Path

import numpy as np
from examination_business import agreements, clients, invoices, technicians
from examination_chance import Row
from examination_estate import devices, devices_of, events, evidence, metrics
from examination_work import appointments, jobs_of, time_entries
from numpy.random import Generator

from mesh_fl.client.columns import TableSource
from mesh_fl.client.own_tables import FileTable
from mesh_fl.msp_tables import TABLES
from mesh_fl.site import OwnTable


def write_tables(folder: Path) -> None:
    """Write every table to `folder`."""
    for name, rows in _tables(np.random.default_rng(70411)):
        _write(folder / f"{name}.csv", rows)


def own_tables(folder: Path) -> Mapping[str, OwnTable]:
    """Return the tables in `folder` as a member's agents read them."""
    return {
        name: FileTable(TableSource(path=folder / f"{name}.csv", id=table.key))
        for name, table in TABLES.items()
    }


def _tables(rng: Generator) -> Iterator[tuple[str, Iterable[Row]]]:
    yield "clients", clients(rng)
    yield "agreements", agreements(rng)
    yield "invoices", invoices(rng)
    yield "technicians", technicians()
    jobs = list(jobs_of(rng))
    yield "tickets", (job.ticket for job in jobs)
    yield "time_entries", time_entries(rng, jobs)
    yield "appointments", appointments(rng)
    made = list(devices_of(rng))
    yield "devices", devices(rng, made)
    yield "events", events(rng, made)
    yield "metrics", metrics(rng)
    yield "evidence", evidence(rng)


def _write(path: Path, rows: Iterable[Row]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        first, *others = rows
        out = csv.writer(file)
        out.writerow(first)
        out.writerows([_cell(value) for value in row.values()] for row in (first, *others))


def _cell(value: object) -> object:
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%dT%H:%M:%SZ")
    return str(value).lower() if isinstance(value, bool) else value
