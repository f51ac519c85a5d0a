"""Tickets, the time spent on them, and appointments of the made-up provider."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
from examination_chance import Row, maybe, pick, technician, working
from examination_company import BEGIN, CATEGORIES, CLIENTS, DAY, NOW, TECHNICIANS
from numpy.random import Generator

HOURS_TO = {1: (0.5, 8), 2: (2, 24), 3: (4, 72), 4: (8, 120)}
"""To the first response and to the end, by priority."""

PACE = {"junior": 1.25, "intermediate": 1.0, "senior": 0.8, "principal": 0.7}


@dataclass(frozen=True)
class Job:
    """One ticket and the time spent on it."""

    ticket: Row
    entries: tuple[Row, ...]


@dataclass(frozen=True)
class Course:
    """How a ticket went; what lies after now has not happened."""

    technician: str
    category: str
    priority: int
    opened: datetime
    answered: datetime | None
    closed: datetime | None
    worked_h: float

    @property
    def due(self) -> datetime:
        return self.opened + timedelta(hours=HOURS_TO[self.priority][1])

    @property
    def kept(self) -> bool | None:
        if self.answered is None or self.closed is None:
            return None
        promised = self.opened + timedelta(hours=HOURS_TO[self.priority][0])
        return self.closed <= self.due and self.answered <= promised


def jobs_of(rng: Generator) -> Iterator[Job]:
    number = 88000
    for opened, client in sorted(_opened(rng)):
        number += int(rng.integers(1, 3))
        yield _job(rng, f"TK{number}", client, opened)


def _opened(rng: Generator) -> Iterator[tuple[datetime, str]]:
    total = sum(one.load * (one.end - one.begin).days for one in CLIENTS.values())
    for key, one in CLIENTS.items():
        count = int(4000 * one.load * (one.end - one.begin).days / total)
        yield from ((when, key) for when in working(rng, one.begin, one.end, count))


def _job(rng: Generator, key: str, client: str, opened: datetime) -> Job:
    course = _course(rng, opened)
    assigned = course.answered or rng.random() < 0.4
    csat = _csat(rng, course, CLIENTS[client].load)
    usual_h = CATEGORIES[course.category].usual_h
    estimate_h = maybe(rng, round(usual_h * float(rng.uniform(0.8, 1.3)) * 4) / 4, 0.22)
    entries = tuple(_entries(rng, key, course))
    spent_h = round(sum(entry["hours"] for entry in entries), 2)
    ticket = {
        "ticket_id": key,
        "client_id": client,
        "opened_at": opened,
        "first_response_at": course.answered,
        "closed_at": course.closed,
        "due_at": maybe(rng, course.due, 0.06),
        "priority": course.priority,
        "category": maybe(rng, course.category, 0.025),
        "assignee_id": course.technician if assigned else "",
        "est_hours": estimate_h,
        "actual_hours": maybe(rng, spent_h, 0.04) if course.closed else None,
        "sla_met": course.kept,
        "csat": csat,
        "title": maybe(rng, str(rng.choice(CATEGORIES[course.category].titles)), 0.01),
    }
    return Job(ticket, entries)


def _course(rng: Generator, opened: datetime) -> Course:
    category = pick(rng, {name: one.share for name, one in CATEGORIES.items()})
    priority = int(rng.choice([1, 2, 3, 4], p=[0.05, 0.2, 0.5, 0.25]))
    who = technician(rng)
    pace = PACE[TECHNICIANS[who].level]
    answer_h, close_h = HOURS_TO[priority]
    answered = opened + _some_hours(rng, answer_h * 0.35, 0.9)
    worked_h = float(rng.lognormal(np.log(CATEGORIES[category].usual_h * pace), 0.6))
    waited_h = float(rng.lognormal(np.log(close_h * 0.28), 1.0)) * pace
    closed = answered + timedelta(hours=waited_h + worked_h)
    stuck = rng.random() < 0.012
    return Course(
        technician=who,
        category=category,
        priority=priority,
        opened=opened,
        answered=answered if answered <= NOW else None,
        closed=closed if closed <= NOW and not stuck else None,
        worked_h=worked_h,
    )


def _some_hours(rng: Generator, median_h: float, spread: float) -> timedelta:
    return timedelta(hours=float(rng.lognormal(np.log(median_h), spread)))


def _csat(rng: Generator, course: Course, load: float) -> int | None:
    if not course.closed or rng.random() >= 0.27:
        return None
    mean = 4.35 - (0 if course.kept else 0.7) - (0.25 if load > 2.5 else 0)
    return int(np.clip(round(rng.normal(mean, 0.8)), 1, 5))


def _entries(rng: Generator, key: str, course: Course) -> Iterator[Row]:
    if course.answered is None:
        return
    pieces = 1 if rng.random() < 0.62 else int(rng.integers(2, 4))
    parts_h = rng.dirichlet(np.full(pieces, 3.0)) * course.worked_h
    last = course.closed or min(NOW, course.answered + 5 * DAY)
    for place, part_h in enumerate(sorted(parts_h.tolist(), reverse=True)):
        own = place == 0 or rng.random() < 0.8
        yield {
            "technician_id": course.technician if own else technician(rng),
            "ticket_id": key,
            "started_at": course.answered + (last - course.answered) * (place / pieces),
            "hours": max(round(part_h * 10) / 10, 0.1),
            "billable": bool(rng.random() < 0.34),
        }


def time_entries(rng: Generator, jobs: Iterable[Job]) -> Iterator[Row]:
    """Return the time spent on tickets, and what belongs to none."""
    entries = [entry for job in jobs for entry in job.entries]
    entries += [_meeting(rng, when) for when in working(rng, BEGIN, NOW, 260)]
    order = ("started_at", "ticket_id", "technician_id")
    entries.sort(key=lambda entry: [entry[name] for name in order])
    for place, entry in enumerate(entries):
        yield {"entry_id": f"E{200000 + place}", **entry}


def _meeting(rng: Generator, when: datetime) -> Row:
    return {
        "technician_id": list(TECHNICIANS)[int(rng.integers(0, len(TECHNICIANS)))],
        "ticket_id": "",
        "started_at": when,
        "hours": float(rng.choice([0.5, 1, 1.5, 2, 4])),
        "billable": False,
    }


def appointments(rng: Generator) -> Iterator[Row]:
    days = [NOW.replace(hour=0) + day * DAY for day in range(-60, 15)]
    slots = [(day, key) for day in days if day.weekday() < 5 for key in TECHNICIANS]
    taken = (slot for slot in slots if rng.random() < 0.45)
    for place, (day, key) in enumerate(taken, 1):
        start = day + timedelta(hours=int(rng.integers(8, 16)))
        yield {
            "appointment_id": f"AP{place:04}",
            "technician_id": key,
            "start_at": start,
            "end_at": start + timedelta(minutes=int(rng.choice([30, 60, 90, 120]))),
        }
