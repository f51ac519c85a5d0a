"""Devices, events, metrics and evidence of the made-up provider."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from examination_chance import Row, maybe, pick, working
from examination_company import BEGIN, CLIENTS, DAY, NOW, Client, moment
from numpy.random import Generator

SYSTEMS = {
    "laptop": ("Windows 11", "Windows 11", "Windows 10", "macOS 15"),
    "workstation": ("Windows 11", "Windows 10"),
    "server": ("Windows Server 2022", "Windows Server 2016", "Ubuntu 24.04", "Debian 12"),
    "firewall": ("FortiOS 7.4", "OPNsense 25"),
    "switch": ("ArubaOS 10", ""),
    "access point": ("UniFi 7", ""),
    "nas": ("DSM 7.2",),
    "label printer": ("", "ZPL"),
}
SMALL = ("laptop", "laptop", "workstation", "switch", "access point", "nas", "label printer")
EVENTS = {  # share, source, severities, technique
    "failed logon": (0.26, "edr", (0, 1, 2), "T1110"),
    "malware blocked": (0.06, "edr", (2, 3, 4), "T1204"),
    "backup failed": (0.17, "backup console", (1, 2), ""),
    "disk almost full": (0.16, "rmm", (1, 2), ""),
    "port scan": (0.14, "firewall", (0, 1), "T1046"),
    "impossible travel": (0.05, "identity", (2, 3), "T1078"),
    "offline": (0.13, "rmm", (1, 3), ""),
    "macro executed": (0.03, "edr", (2, 3, 4), "T1204;T1059"),
}
CONTROLS = (
    "ISO27001 A.8.13",
    "ISO27001 A.5.17",
    "ISO27001 A.8.7",
    "CIS 4.1",
    "CIS 6.3",
    "CIS 11.2",
    "CE patching",
    "CE malware",
)
CHECKED = ("helpdesk portal", "backup vault", "jump host", "office network")
STATUSES = ("pass", "fail", "not tested")


@dataclass(frozen=True)
class Device:
    key: str
    client: str
    kind: str
    system: str
    seen: datetime
    lost: datetime | None


def devices_of(rng: Generator) -> Iterator[Device]:
    number = 400
    for key, client in CLIENTS.items():
        for kind in _planned(rng, client):
            number += int(rng.integers(1, 5))
            idle_h = float(rng.exponential(9 if rng.random() < 0.88 else 1100))
            system = str(rng.choice(SYSTEMS[kind]))
            seen = client.end - timedelta(hours=idle_h)
            yield Device(f"DEV{number:05}", key, kind, system, seen, client.lost)


def _planned(rng: Generator, client: Client) -> list[str]:
    if client.name == "Marram Golf Club":
        return []
    firewalls = ["firewall"] if rng.random() < 0.85 else []
    servers = ["server"] * int(rng.integers(0, 2 + round(client.load)))
    small = rng.choice(SMALL, size=int(2 + 0.07 * (client.employees or 30)))
    return [*firewalls, *servers, *small.tolist()]


def devices(rng: Generator, made: Sequence[Device]) -> Iterator[Row]:
    for one in made:
        yield {
            "device_id": one.key,
            "client_id": one.client,
            "class": one.kind,
            "os": one.system,
            "last_seen_at": maybe(rng, one.seen, 0.03),
        }


def events(rng: Generator, made: Sequence[Device]) -> Iterator[Row]:
    shares = {kind: event[0] for kind, event in EVENTS.items()}
    for place, when in enumerate(working(rng, BEGIN, NOW, 2000)):
        kind = pick(rng, shares)
        _, source, severities, technique = EVENTS[kind]
        alive = [one for one in made if one.lost is None or one.lost > when]
        device = alive[int(rng.integers(0, len(alive)))]
        yield {
            "event_id": f"EV{610000 + place}",
            "ts": when,
            "client_id": device.client,
            "device_id": "" if kind == "impossible travel" else device.key,
            "source": source,
            "kind": kind,
            "severity": int(rng.choice(severities)),
            "message": maybe(rng, f"{kind} reported by {source}", 0.03),
            "attack_ids": technique,
        }


def metrics(rng: Generator) -> Iterator[Row]:
    number = 0
    for day in range((NOW - BEGIN).days + 1):
        for series in ("backup-success-rate", "open-queue"):
            if rng.random() >= 0.02:
                yield {
                    "metric_id": f"M{number:05}",
                    "ts": BEGIN + day * DAY + timedelta(hours=6),
                    "series_id": series,
                    "value": round(_value(rng, series, day), 1),
                }
                number += 1


def _value(rng: Generator, series: str, day: int) -> float:
    noise = float(rng.normal())
    if series == "backup-success-rate":
        return min(96 + 2.2 * noise, 100)
    return round(58 + 9 * noise + (3 if day % 7 == 0 else 0))


def evidence(rng: Generator) -> Iterator[Row]:
    for place, (when, control, system, status) in enumerate(sorted(_checks(rng))):
        yield {
            "evidence_id": f"CHK{place:03}",
            "control_ref": control,
            "system": system,
            "status": status,
            "collected_at": when,
            "text": f"{control}: {status} on {system}",
        }


def _checks(rng: Generator) -> Iterator[tuple[datetime, str, str, str]]:
    for _ in range(150):
        when = moment("2025-06-01") + float(rng.uniform(0, 538)) * DAY
        status = str(rng.choice(STATUSES, p=[0.7, 0.2, 0.1]))
        yield when, str(rng.choice(CONTROLS)), str(rng.choice(CHECKED)), status
