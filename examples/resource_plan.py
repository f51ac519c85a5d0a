"""A provider's own tickets in; how long the open ones take and who does them when, out.

Run it: python examples/resource_plan.py
"""

import csv
import tempfile
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from mesh_fl.agents.resource.agent import ResourceAllocation
from mesh_fl.agents.resource.answer import ResourceAnswer
from mesh_fl.client.columns import TableSource
from mesh_fl.client.own_tables import FileTable
from mesh_fl.msp_tables import TABLES
from mesh_fl.site import Site

NOW = datetime(2026, 11, 2, 9, tzinfo=UTC)
"""A Monday."""

USUAL_HOURS = {"password": 0.2, "printer": 0.6, "backup": 1.5, "network": 3.0, "server": 5.0}

Row = Mapping[str, object]


def made_up_tables() -> dict[str, list[Row]]:
    """Invent a quarter of tickets by their category, forty of them open, and four technicians."""
    random = np.random.default_rng(3)
    tickets: list[Row] = []
    for number in range(440):
        category = random.choice(list(USUAL_HOURS), p=[0.3, 0.25, 0.2, 0.15, 0.1])
        is_open = number >= 400
        opened = NOW - timedelta(
            hours=float(random.uniform(1, 30) if is_open else 100 + 5 * number)
        )
        ticket = {
            "ticket_id": f"T{number}",
            "category": category,
            "priority": int(random.choice([1, 2, 3, 4], p=[0.05, 0.15, 0.6, 0.2])),
            "opened_at": opened.isoformat(),
        }
        if is_open:
            due = opened + timedelta(hours={1: 24, 2: 32, 3: 56, 4: 104}[ticket["priority"]])
            tickets.append({**ticket, "due_at": due.isoformat()})
        else:
            hours = round(USUAL_HOURS[category] * random.lognormal(0, 0.6), 2)
            closed = opened + timedelta(hours=hours + random.exponential(8))
            tickets.append({**ticket, "closed_at": closed.isoformat(), "actual_hours": hours})
    people = (("ada", "network; server; backup"), ("ben", "server; network"), ("cem", ""))
    technicians: list[Row] = [
        {"technician_id": name, "skills": skills, "capacity_h_day": 7, "level": "senior"}
        for name, skills in (*people, ("dua", "backup"))
    ]
    away = {"start_at": NOW.isoformat(), "end_at": (NOW + timedelta(hours=3)).isoformat()}
    appointments: list[Row] = [{"appointment_id": "a1", "technician_id": "ben", **away}]
    return {"tickets": tickets, "technicians": technicians, "appointments": appointments}


def as_tables(folder: Path, rows: Mapping[str, Sequence[Row]]) -> dict[str, FileTable]:
    """Write them as a member's CSV files."""
    found = {}
    for name, table in rows.items():
        path = folder / f"{name}.csv"
        with path.open("w", newline="", encoding="utf-8") as file:
            names = list(dict.fromkeys(column for row in table for column in row))
            writer = csv.DictWriter(file, names)
            writer.writeheader()
            writer.writerows(table)
        found[name] = FileTable(TableSource(path=path, id=TABLES[name].key))
    return found


def show(found: ResourceAnswer) -> None:
    """Print a plan."""
    longest = max(found.tasks, key=lambda one: one.predicted_hours)
    why = ", ".join(f"{one.because} x{one.factor:.2f}" for one in longest.why)
    print(f"{len(found.tasks)} open tickets, {found.model_used}")
    print(
        f"longest: {longest.task_id}, {longest.predicted_hours:.1f} h, nine in ten within "
        f"{longest.hours_p90:.1f} h ({why})"
    )
    for one in found.schedule:
        first = ", ".join(f"{slot.task_id} {slot.start_at[5:16]}" for slot in one.slots[:3])
        print(
            f"{one.technician_id}: {len(one.assigned_tasks)} tasks, {one.utilization:.0%}: {first}"
        )
    for task in found.unassigned:
        print(f"not planned: {task.task_id}: {task.reason}")
    if found.compared is not None:
        print(
            f"mean time until done, urgent tasks counting more: "
            f"{found.compared.plan.weighted_flow_hours:.1f} h; first come, first served: "
            f"{found.compared.first_come.weighted_flow_hours:.1f} h"
        )
    for need in found.weekly_capacity:
        used = "no hours" if need.utilization is None else f"{need.utilization:.0%} of free hours"
        print(f"a week of {need.skill or 'other work'}: {need.work_hours_week:.1f} h, {used}")


def main() -> None:
    """Learn from the closed tickets alone, then plan the open ones."""
    with tempfile.TemporaryDirectory() as folder:
        tables = as_tables(Path(folder), made_up_tables())
        agent = ResourceAllocation(as_of=NOW.date().isoformat())
        own = agent.prepare(agent.gather({"tickets": tables["tickets"]}).table)
        state = agent.adapt(agent.init(), own)
        asked = {"as_of": np.array([NOW.timestamp()]), "priority_mode": np.array(["speed"])}
        (found,) = agent.answering(Site(tables=tables))(state, asked)
    if isinstance(found, ResourceAnswer):
        show(found)


if __name__ == "__main__":
    main()
