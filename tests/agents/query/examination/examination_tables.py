"""A made-up MSP ("Tarn & Fell IT") as CSV files, the same in every process that makes them once."""

import csv
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

BEGIN = datetime(2025, 1, 1, tzinfo=UTC)
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
DAY = timedelta(days=1)
rng = np.random.default_rng(70411)

CLIENTS = [  # name, industry, employees, since, load, status, lost
    ("Foxglove Veterinary", "veterinary care", 64, "2019-03-11", 1.4, "active", ""),
    ("Brackwater Brewing", "brewing", 118, "2020-06-02", 1.9, "active", ""),
    ("Tidemark Shipping", "shipping", 240, "2017-09-18", 3.6, "active", ""),
    ("Oriel Architects", "architecture", 37, "2021-01-25", 0.9, "active", ""),
    ("Saltmarsh Trust", "charity", 52, "2018-05-07", 1.0, "active", ""),
    ("Kestrel Quarries", "quarrying", 175, "2016-11-14", 1.7, "active", ""),
    ("Lanternjaw Films", "film production", 29, "2023-02-20", 1.3, "active", ""),
    ("Penrose Dental", "dentistry", 44, "2020-10-12", 1.1, "active", ""),
    ("Yarrow Nurseries", "horticulture", 71, "2019-08-05", 0.8, "active", ""),
    ("Copperhead Couriers", "shipping", 133, "2022-04-19", 2.4, "active", ""),
    ("Mirefield Housing", "housing association", 208, "2018-02-26", 2.8, "active", ""),
    ("Thistledown Bakery", "food production", 86, "2021-07-13", 1.0, "active", ""),
    ("Halyard Marine", "boatbuilding", 59, "2022-09-01", 0.9, "active", ""),
    ("Greywether Surveyors", "surveying", 23, "2023-05-15", 0.5, "active", ""),
    ("Ember & Ash Ceramics", "ceramics", 31, "2024-01-08", 0.4, "active", ""),
    ("Nettlecombe School", "education", 152, "2017-07-31", 2.2, "active", ""),
    ("Withy Organics", "horticulture", 48, "2024-03-04", 0.6, "active", ""),
    ("Ravenscar Legal", "legal", 67, "2019-11-18", 1.6, "active", ""),
    ("Dunlin Opticians", "optometry", 39, "2021-10-04", 0.7, "active", ""),
    ("Longbarrow Museum", "museum", 45, "2020-02-17", 0.6, "active", ""),
    ("Corvid Analytics", "data consultancy", 26, "2025-02-03", 0.9, "active", ""),
    ("Hearthstone Care Homes", "social care", 310, "2018-12-10", 3.1, "active", ""),
    ("Plover Travel", "travel", 34, "2025-05-19", 0.7, "active", ""),
    ("Ironmouth Castings", "foundry", 141, "2025-09-08", 1.2, "active", ""),
    ("Selkie Seafoods", "food production", 97, "2026-01-12", 1.1, "active", ""),
    ("Quillon Press", "printing", None, "2026-04-20", 0.5, "active", ""),
    ("Marram Golf Club", "", 28, "2022-06-27", 0.3, "active", ""),
    ("Stonecrop Lettings", "estate agency", 42, "2020-04-06", 0.9, "lost", "2025-08-31"),
    ("Bluebell Nurseries", "horticulture", 19, "2021-03-22", 0.3, "lost", "2026-02-28"),
    ("Osprey Recruitment", "recruitment", 55, "2019-05-13", 1.2, "lost", "2026-07-31"),
    ("Windrush Textiles", "textiles", None, "2023-08-14", 0.8, "lost", "2026-09-30"),
]
TECHS = [  # name, skills, level, capacity, cost, timezone, weight
    ("Ines Holloway", "firewalls; routing; vpn", "senior", 7.5, 46, "Europe/London", 1.0),
    ("Tomasz Brandt", "telephony; routing", "intermediate", 7.5, 35, "Europe/Warsaw", 1.1),
    ("Priya Lindqvist", "azure; identity; scripting", "principal", 6, 62, "Europe/Stockholm", 0.6),
    ("Callum Adeyemi", "printing; desktops", "junior", 7.5, 24, "Europe/London", 1.5),
    ("Marta Quiroga", "backup; storage; vmware", "senior", 7.5, 48, "Europe/Madrid", 0.9),
    ("Owen Fairweather", "desktops; macos", "junior", 7.5, 23, "Europe/London", 1.6),
    ("Saoirse Malik", "email; identity", "intermediate", 7, 33, "Europe/Dublin", 1.3),
    ("Jonas Whitlock", "security; siem; firewalls", "senior", 7.5, 51, "Europe/London", 0.8),
    ("Beatriz Nakamura", "desktops; telephony", "junior", 5, 25, "Europe/Lisbon", 0.9),
    ("Ewan Strand", "azure; backup; scripting", "intermediate", 7.5, 37, "Europe/London", 1.0),
    ("Leila Drummond", "security; compliance", "principal", 6, 65, "Europe/London", 0.4),
    ("Hugo Pellew", "email; desktops; printing", "intermediate", 7.5, 32, "Europe/London", 1.2),
]
CATEGORIES = [  # name, share, typical hours, est
    ("mail flow", 0.16, 0.9),
    ("door access", 0.04, 1.4),
    ("label printing", 0.10, 0.7),
    ("remote access", 0.13, 0.8),
    ("desk phones", 0.08, 1.0),
    ("laptop swap", 0.09, 2.1),
    ("restore request", 0.05, 1.7),
    ("new starter", 0.10, 1.5),
    ("leaver", 0.06, 0.8),
    ("licensing", 0.06, 0.6),
    ("wireless", 0.08, 1.3),
    ("suspicious email", 0.05, 1.1),
]
TITLES = {
    "mail flow": ["Outbound mail queued", "Shared mailbox missing", "Mail bouncing to supplier"],
    "door access": ["Badge not recognised", "Door controller offline"],
    "label printing": ["Labels print blank", "Label printer jammed", "Wrong label size"],
    "remote access": ["Cannot reach remote desktop", "VPN drops every hour", "MFA prompt loops"],
    "desk phones": ["No dial tone", "Calls go to wrong hunt group"],
    "laptop swap": ["Laptop battery swollen", "Replace cracked laptop", "Laptop will not boot"],
    "restore request": ["Restore deleted folder", "Restore database from Friday"],
    "new starter": ["New starter on Monday", "Set up new starter"],
    "leaver": ["Disable leaver account", "Leaver mailbox to manager"],
    "licensing": ["Licence expired", "Need one more CAD licence"],
    "wireless": ["Wireless slow in warehouse", "Guest wireless down"],
    "suspicious email": ["Suspicious invoice attachment", "Is this email real?"],
}
TYPES = {
    "managed desktop": (34, 1.0),
    "offsite backup": (9, 0.6),
    "security monitoring": (14, 0.8),
    "telephony": (11, 0.7),
    "cloud hosting": (19, 0.4),
    "on-site day": (0, 0.0),
}


def stamp(when):
    return "" if when is None else when.strftime("%Y-%m-%dT%H:%M:%SZ")


def at(day):
    return datetime.fromisoformat(day).replace(tzinfo=UTC) if day else None


def write(folder, name, header, rows):
    with (folder / f"{name}.csv").open("w", newline="", encoding="utf-8") as file:
        out = csv.writer(file)
        out.writerow(header.split())
        out.writerows(rows)


def maybe(value, missing):
    return "" if rng.random() < missing else value


def working(day_from, day_to, n):
    """Sorted times, mostly on working days from 7 to 18."""
    span = (day_to - day_from).days
    found = []
    while len(found) < n:
        day = day_from + int(rng.integers(0, span + 1)) * DAY
        keep = 0.12 if day.weekday() >= 5 else 1.0
        keep *= 0.35 if (day.month, day.day) >= (12, 23) or (day.month == 8 and day.day < 16) else 1
        keep *= 0.75 + 0.25 * (day - BEGIN) / (NOW - BEGIN)
        if rng.random() > keep:
            continue
        when = day.replace(hour=0) + timedelta(seconds=int(rng.normal(12.2, 2.6) * 3600))
        if day_from <= when < min(day_to + DAY, NOW - timedelta(minutes=20)):
            found.append(when)
    return sorted(found)


def make_tables(folder: Path) -> None:
    """Write the tables, one CSV file each."""
    clients, ids = [], [f"K{1201 + 7 * i}" for i in range(len(CLIENTS))]
    rows = []
    for cid, (name, industry, size, since, load, status, lost) in zip(ids, CLIENTS, strict=False):
        end = at(lost)
        touch = (end or NOW) - timedelta(days=float(rng.exponential(16)) + 0.2)
        boss = (end or NOW) - timedelta(days=float(rng.exponential(85)) + 3)
        clients.append((cid, name, max(at(since), BEGIN), end, load))
        rows.append(
            [
                cid,
                name,
                stamp(at(since)),
                size or "",
                industry,
                status,
                stamp(end),
                stamp(touch),
                maybe(stamp(max(boss, at(since))), 0.15),
            ]
        )
    write(
        folder,
        "clients",
        "client_id name since employees industry status lost_at last_touch_at last_exec_touch_at",
        rows,
    )

    agreements, number = [], 3000
    for (cid, name, begin, end, load), spec in zip(clients, CLIENTS, strict=False):
        size = spec[2] or 40
        chosen = ["managed desktop"] if name not in ("Marram Golf Club", "Quillon Press") else []
        extra = ["offsite backup", "security monitoring", "telephony", "cloud hosting"]
        for kind in extra:
            if name != "Quillon Press" and rng.random() < 0.30 + 0.05 * load:
                chosen.append(kind)
        for kind in chosen:
            number += int(rng.integers(1, 9))
            price, _ = TYPES[kind]
            seats = (
                int(size * rng.uniform(0.6, 1.0))
                if kind != "cloud hosting"
                else int(rng.integers(3, 20))
            )
            period = rng.choice(["month", "month", "month", "quarter", "year"])
            factor = {"month": 1, "quarter": 3, "year": 12}[period]
            amount = round(seats * price * rng.uniform(0.85, 1.2) * factor, 2)
            first = max(at(spec[3]), at("2022-01-01")) + int(rng.integers(0, 300)) * DAY
            if first >= (end or NOW) - 60 * DAY:
                first = begin
            stop = None
            if rng.random() < 0.62:
                stop = first.replace(
                    year=2027 if rng.random() < 0.7 else 2026, day=min(first.day, 28)
                )
                if stop < first:
                    stop = stop.replace(year=2028)
            gone = end
            if not end and rng.random() < 0.10:
                gone = at("2026-01-10") + int(rng.integers(0, 290)) * DAY
                gone = gone if gone > first else None
            agreements.append(
                [
                    f"AG{number}",
                    cid,
                    kind,
                    stamp(first),
                    stamp(stop),
                    amount,
                    period,
                    maybe(seats, 0.05),
                    "EUR",
                    stamp(gone),
                ]
            )
    write(
        folder,
        "agreements",
        "agreement_id client_id type start_at end_at amount period seats currency cancelled_at",
        agreements,
    )

    invoices, number = [], 50410
    for (cid, _name, begin, end, load), spec in zip(clients, CLIENTS, strict=False):
        monthly = round((spec[2] or 40) * rng.uniform(30, 52) ** 1.02, 2)
        slow = rng.random() < 0.2
        month = datetime(2025, 1, 1, tzinfo=UTC)
        while month < NOW:
            following = (month + 32 * DAY).replace(day=1)
            plan = []
            if begin < following and (end is None or month < end):
                growth = 1 + 0.006 * ((month - BEGIN).days / 30)
                plan.append(
                    (
                        month + timedelta(hours=8),
                        monthly * growth * rng.uniform(0.99, 1.01),
                        "recurring",
                    )
                )
                if rng.random() < 0.07 * load:
                    plan.append(
                        (
                            month + float(rng.uniform(4, 27)) * DAY,
                            float(rng.lognormal(8.1, 0.6)),
                            "project",
                        )
                    )
                if rng.random() < 0.10:
                    plan.append(
                        (
                            month + float(rng.uniform(4, 27)) * DAY,
                            float(rng.lognormal(6.9, 0.5)),
                            "hardware",
                        )
                    )
                if rng.random() < 0.03:
                    plan.append(
                        (
                            month + float(rng.uniform(4, 27)) * DAY,
                            -float(rng.lognormal(5.7, 0.5)),
                            "credit",
                        )
                    )
            for issued, total, kind in plan:
                if issued >= NOW:
                    continue
                total = round(total, 2)
                due = issued + 30 * DAY
                delay = rng.normal(41 if slow else 24, 11)
                paid = issued + max(delay, 1) * DAY
                if kind == "credit":
                    paid = issued
                balance = 0.0
                stuck = kind != "credit" and rng.random() < 0.012
                if paid > NOW or stuck:
                    paid, balance = None, total
                    if rng.random() < 0.12:
                        balance = round(total * rng.uniform(0.3, 0.8), 2)
                invoices.append([issued, cid, due, paid, total, balance, kind])
            month = following
    invoices.sort(key=lambda row: (row[0], row[1]))
    rows = []
    for issued, cid, due, paid, total, balance, kind in invoices:
        number += int(rng.integers(1, 4))
        rows.append(
            [
                f"INV-{number}",
                cid,
                stamp(issued),
                stamp(due),
                stamp(paid),
                total,
                balance,
                "EUR",
                kind,
            ]
        )
    write(
        folder,
        "invoices",
        "invoice_id client_id issued_at due_at paid_at total balance currency kind",
        rows,
    )

    techs = [f"TEC-{3 * i + 11}" for i in range(len(TECHS))]
    write(
        folder,
        "technicians",
        "technician_id name skills level capacity_h_day cost_h timezone",
        [[tid, *tech[:6]] for tid, tech in zip(techs, TECHS, strict=False)],
    )
    pull = np.array([tech[6] for tech in TECHS])
    pull = pull / pull.sum()
    level = {"junior": 1.25, "intermediate": 1.0, "senior": 0.8, "principal": 0.7}

    drafts = []
    share = np.array([c[1] for c in CATEGORIES])
    share = share / share.sum()
    total_load = sum(c[4] * (((c[3] or NOW) - c[2]).days) for c in clients)
    for cid, _name, begin, end, load in clients:
        stop = end or NOW
        n = int(4000 * load * (stop - begin).days / total_load)
        for when in working(begin, stop, n):
            drafts.append((when, cid, load))
    drafts.sort(key=lambda row: (row[0], row[1]))
    tickets, entries, number = [], [], 88000
    budget = {1: (0.5, 8), 2: (2, 24), 3: (4, 72), 4: (8, 120)}
    for when, cid, load in drafts:
        number += int(rng.integers(1, 3))
        tid = f"TK{number}"
        category, _, typical = CATEGORIES[int(rng.choice(len(CATEGORIES), p=share))]
        priority = int(rng.choice([1, 2, 3, 4], p=[0.05, 0.2, 0.5, 0.25]))
        who = int(rng.choice(len(TECHS), p=pull))
        pace = level[TECHS[who][2]]
        answer_h, close_h = budget[priority]
        answered = when + timedelta(hours=float(rng.lognormal(np.log(answer_h * 0.35), 0.9)))
        hours = float(rng.lognormal(np.log(typical * pace), 0.6))
        closed = answered + timedelta(
            hours=float(rng.lognormal(np.log(close_h * 0.28), 1.0)) * pace + hours
        )
        if rng.random() < 0.012:
            closed = NOW + DAY
        due = when + timedelta(hours=close_h)
        if answered > NOW:
            answered = None
        if closed > NOW:
            closed = None
        assignee = techs[who] if answered or rng.random() < 0.4 else ""
        kept = (
            ""
            if closed is None
            else str(closed <= due and answered - when <= timedelta(hours=answer_h)).lower()
        )
        mood = ""
        if closed and rng.random() < 0.27:
            happy = 4.35 - (0.7 if kept == "false" else 0) - (0.25 if load > 2.5 else 0)
            mood = int(np.clip(round(rng.normal(happy, 0.8)), 1, 5))
        estimate = maybe(round(typical * float(rng.uniform(0.8, 1.3)) * 4) / 4, 0.22)
        worked = 0.0
        if answered:
            pieces = 1 if rng.random() < 0.62 else int(rng.integers(2, 4))
            parts = rng.dirichlet(np.full(pieces, 3.0)) * hours
            last = closed or min(NOW, answered + 5 * DAY)
            for index, part in enumerate(sorted(parts, reverse=True)):
                share_of = index / pieces
                begun = answered + (last - answered) * share_of
                part = max(round(float(part) * 10) / 10, 0.1)
                helper = (
                    techs[who]
                    if index == 0 or rng.random() < 0.8
                    else techs[int(rng.choice(len(TECHS), p=pull))]
                )
                entries.append([begun, helper, tid, part, rng.random() < 0.34])
                worked += part
        tickets.append(
            [
                tid,
                cid,
                stamp(when),
                stamp(answered),
                stamp(closed),
                maybe(stamp(due), 0.06),
                priority,
                maybe(category, 0.025),
                assignee,
                estimate,
                maybe(round(worked, 2), 0.04) if closed else "",
                kept,
                mood,
                maybe(str(rng.choice(TITLES[category])), 0.01),
            ]
        )
    write(
        folder,
        "tickets",
        "ticket_id client_id opened_at first_response_at closed_at due_at priority "
        "category assignee_id est_hours actual_hours sla_met csat title",
        tickets,
    )
    for when in working(BEGIN, NOW, 260):
        entries.append(
            [
                when,
                techs[int(rng.integers(0, len(techs)))],
                "",
                float(rng.choice([0.5, 1, 1.5, 2, 4])),
                False,
            ]
        )
    entries.sort(key=lambda row: (row[0], row[2], row[1]))
    write(
        folder,
        "time_entries",
        "entry_id technician_id ticket_id started_at hours billable",
        [
            [f"E{200000 + i}", who, ticket, stamp(when), hours, str(bill).lower()]
            for i, (when, who, ticket, hours, bill) in enumerate(entries)
        ],
    )

    rows = []
    for day in range(-60, 15):
        date = NOW.replace(hour=0) + day * DAY
        if date.weekday() >= 5:
            continue
        for tid in techs:
            if rng.random() < 0.45:
                start = date + timedelta(hours=int(rng.integers(8, 16)))
                length = timedelta(minutes=int(rng.choice([30, 60, 90, 120])))
                rows.append([f"AP{len(rows) + 1:04}", tid, stamp(start), stamp(start + length)])
    write(folder, "appointments", "appointment_id technician_id start_at end_at", rows)

    makes = {
        "laptop": ["Windows 11", "Windows 11", "Windows 10", "macOS 15"],
        "workstation": ["Windows 11", "Windows 10"],
        "server": ["Windows Server 2022", "Windows Server 2016", "Ubuntu 24.04", "Debian 12"],
        "firewall": ["FortiOS 7.4", "OPNsense 25"],
        "switch": ["ArubaOS 10", ""],
        "access point": ["UniFi 7", ""],
        "nas": ["DSM 7.2"],
        "label printer": ["", "ZPL"],
    }
    devices, number = [], 400
    for (cid, name, _begin, end, load), spec in zip(clients, CLIENTS, strict=False):
        if name == "Marram Golf Club":
            continue
        plan = ["firewall"] if rng.random() < 0.85 else []
        plan += ["server"] * int(rng.integers(0, 2 + round(load)))
        n = int(3 + 0.07 * (spec[2] or 30))
        plan += list(
            rng.choice(
                [
                    "laptop",
                    "laptop",
                    "workstation",
                    "switch",
                    "access point",
                    "nas",
                    "label printer",
                ],
                size=n - 1,
            )
        )
        for kind in plan:
            number += int(rng.integers(1, 5))
            last = end or NOW
            seen = last - timedelta(
                hours=float(rng.exponential(9 if rng.random() < 0.88 else 1100))
            )
            system = str(rng.choice(makes[kind]))
            devices.append((f"DEV{number:05}", cid, kind, system, seen, end))
    write(
        folder,
        "devices",
        "device_id client_id class os last_seen_at",
        [[d, c, k, s, maybe(stamp(seen), 0.03)] for d, c, k, s, seen, _ in devices],
    )

    kinds = {
        "failed logon": ("edr", [0, 1, 2], "T1110"),
        "malware blocked": ("edr", [2, 3, 4], "T1204"),
        "backup failed": ("backup console", [1, 2], ""),
        "disk almost full": ("rmm", [1, 2], ""),
        "port scan": ("firewall", [0, 1], "T1046"),
        "impossible travel": ("identity", [2, 3], "T1078"),
        "offline": ("rmm", [1, 3], ""),
        "macro executed": ("edr", [2, 3, 4], "T1204;T1059"),
    }
    weight = np.array([0.26, 0.06, 0.17, 0.16, 0.14, 0.05, 0.13, 0.03])
    rows = []
    for when in working(BEGIN, NOW, 2000):
        kind = str(rng.choice(list(kinds), p=weight))
        source, levels, technique = kinds[kind]
        alive = [d for d in devices if d[5] is None or d[5] > when]
        device = alive[int(rng.integers(0, len(alive)))]
        bare = kind == "impossible travel"
        rows.append(
            [
                f"EV{610000 + len(rows)}",
                stamp(when),
                device[1],
                "" if bare else device[0],
                source,
                kind,
                int(rng.choice(levels)),
                maybe(f"{kind} reported by {source}", 0.03),
                technique,
            ]
        )
    write(
        folder,
        "events",
        "event_id ts client_id device_id source kind severity message attack_ids",
        rows,
    )

    rows = []
    for day in range((NOW - BEGIN).days + 1):
        for series, level_of, sway in (("backup-success-rate", 96, 2.2), ("open-queue", 58, 9)):
            if rng.random() < 0.02:
                continue
            value = (
                level_of
                + sway * float(rng.normal())
                + (3 if series == "open-queue" and day % 7 == 0 else 0)
            )
            value = min(value, 100) if series.startswith("backup") else round(value)
            rows.append(
                [
                    f"M{len(rows):05}",
                    stamp(BEGIN + day * DAY + timedelta(hours=6)),
                    series,
                    round(value, 1),
                ]
            )
    write(folder, "metrics", "metric_id ts series_id value", rows)

    rows = []
    controls = [
        "ISO27001 A.8.13",
        "ISO27001 A.5.17",
        "ISO27001 A.8.7",
        "CIS 4.1",
        "CIS 6.3",
        "CIS 11.2",
        "CE patching",
        "CE malware",
    ]
    for _index in range(150):
        when = at("2025-06-01") + float(rng.uniform(0, 538)) * DAY
        status = str(rng.choice(["pass", "fail", "not tested"], p=[0.7, 0.2, 0.1]))
        rows.append(
            [
                when,
                str(rng.choice(controls)),
                str(rng.choice(["helpdesk portal", "backup vault", "jump host", "office network"])),
                status,
            ]
        )
    rows.sort()
    write(
        folder,
        "evidence",
        "evidence_id control_ref system status collected_at text",
        [
            [f"CHK{i:03}", c, s, t, stamp(w), f"{c}: {t} on {s}"]
            for i, (w, c, s, t) in enumerate(rows)
        ],
    )
