"""Who is in the made-up provider of the examination: its clients, technicians and trade."""

from datetime import UTC, datetime, timedelta
from typing import NamedTuple

BEGIN = datetime(2025, 1, 1, tzinfo=UTC)
"""The first day that the tables tell of."""

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
"""When the questions are asked."""

DAY = timedelta(days=1)


def moment(day: str) -> datetime:
    return datetime.fromisoformat(day).replace(tzinfo=UTC)


class Client(NamedTuple):
    name: str
    industry: str
    employees: int | None
    since_day: str
    load: float
    lost_day: str = ""

    @property
    def since(self) -> datetime:
        return moment(self.since_day)

    @property
    def lost(self) -> datetime | None:
        return moment(self.lost_day) if self.lost_day else None

    @property
    def begin(self) -> datetime:
        return max(self.since, BEGIN)

    @property
    def end(self) -> datetime:
        return self.lost or NOW


class Technician(NamedTuple):
    name: str
    skills: str
    level: str
    capacity_h_day: float
    cost_h: float
    timezone: str
    pull: float


_CLIENTS = (
    Client("Foxglove Veterinary", "veterinary care", 64, "2019-03-11", 1.4),
    Client("Brackwater Brewing", "brewing", 118, "2020-06-02", 1.9),
    Client("Tidemark Shipping", "shipping", 240, "2017-09-18", 3.6),
    Client("Oriel Architects", "architecture", 37, "2021-01-25", 0.9),
    Client("Saltmarsh Trust", "charity", 52, "2018-05-07", 1.0),
    Client("Kestrel Quarries", "quarrying", 175, "2016-11-14", 1.7),
    Client("Lanternjaw Films", "film production", 29, "2023-02-20", 1.3),
    Client("Penrose Dental", "dentistry", 44, "2020-10-12", 1.1),
    Client("Yarrow Nurseries", "horticulture", 71, "2019-08-05", 0.8),
    Client("Copperhead Couriers", "shipping", 133, "2022-04-19", 2.4),
    Client("Mirefield Housing", "housing association", 208, "2018-02-26", 2.8),
    Client("Thistledown Bakery", "food production", 86, "2021-07-13", 1.0),
    Client("Halyard Marine", "boatbuilding", 59, "2022-09-01", 0.9),
    Client("Greywether Surveyors", "surveying", 23, "2023-05-15", 0.5),
    Client("Ember & Ash Ceramics", "ceramics", 31, "2024-01-08", 0.4),
    Client("Nettlecombe School", "education", 152, "2017-07-31", 2.2),
    Client("Withy Organics", "horticulture", 48, "2024-03-04", 0.6),
    Client("Ravenscar Legal", "legal", 67, "2019-11-18", 1.6),
    Client("Dunlin Opticians", "optometry", 39, "2021-10-04", 0.7),
    Client("Longbarrow Museum", "museum", 45, "2020-02-17", 0.6),
    Client("Corvid Analytics", "data consultancy", 26, "2025-02-03", 0.9),
    Client("Hearthstone Care Homes", "social care", 310, "2018-12-10", 3.1),
    Client("Plover Travel", "travel", 34, "2025-05-19", 0.7),
    Client("Ironmouth Castings", "foundry", 141, "2025-09-08", 1.2),
    Client("Selkie Seafoods", "food production", 97, "2026-01-12", 1.1),
    Client("Quillon Press", "printing", None, "2026-04-20", 0.5),
    Client("Marram Golf Club", "", 28, "2022-06-27", 0.3),
    Client("Stonecrop Lettings", "estate agency", 42, "2020-04-06", 0.9, "2025-08-31"),
    Client("Bluebell Nurseries", "horticulture", 19, "2021-03-22", 0.3, "2026-02-28"),
    Client("Osprey Recruitment", "recruitment", 55, "2019-05-13", 1.2, "2026-07-31"),
    Client("Windrush Textiles", "textiles", None, "2023-08-14", 0.8, "2026-09-30"),
)

CLIENTS = {f"K{1201 + 7 * place}": client for place, client in enumerate(_CLIENTS)}

_TECHNICIANS = (
    Technician("Ines Holloway", "firewalls; routing; vpn", "senior", 7.5, 46, "Europe/London", 1.0),
    Technician(
        "Tomasz Brandt", "telephony; routing", "intermediate", 7.5, 35, "Europe/Warsaw", 1.1
    ),
    Technician(
        "Priya Lindqvist", "azure; identity; scripting", "principal", 6, 62, "Europe/Stockholm", 0.6
    ),
    Technician("Callum Adeyemi", "printing; desktops", "junior", 7.5, 24, "Europe/London", 1.5),
    Technician("Marta Quiroga", "backup; storage; vmware", "senior", 7.5, 48, "Europe/Madrid", 0.9),
    Technician("Owen Fairweather", "desktops; macos", "junior", 7.5, 23, "Europe/London", 1.6),
    Technician("Saoirse Malik", "email; identity", "intermediate", 7, 33, "Europe/Dublin", 1.3),
    Technician(
        "Jonas Whitlock", "security; siem; firewalls", "senior", 7.5, 51, "Europe/London", 0.8
    ),
    Technician("Beatriz Nakamura", "desktops; telephony", "junior", 5, 25, "Europe/Lisbon", 0.9),
    Technician(
        "Ewan Strand", "azure; backup; scripting", "intermediate", 7.5, 37, "Europe/London", 1.0
    ),
    Technician("Leila Drummond", "security; compliance", "principal", 6, 65, "Europe/London", 0.4),
    Technician(
        "Hugo Pellew", "email; desktops; printing", "intermediate", 7.5, 32, "Europe/London", 1.2
    ),
)

TECHNICIANS = {f"TEC-{3 * place + 11}": one for place, one in enumerate(_TECHNICIANS)}


class Category(NamedTuple):
    share: float
    usual_h: float
    titles: tuple[str, ...]


CATEGORIES = {
    "mail flow": Category(
        0.16, 0.9, ("Outbound mail queued", "Shared mailbox missing", "Mail bouncing to supplier")
    ),
    "door access": Category(0.04, 1.4, ("Badge not recognised", "Door controller offline")),
    "label printing": Category(
        0.1, 0.7, ("Labels print blank", "Label printer jammed", "Wrong label size")
    ),
    "remote access": Category(
        0.13, 0.8, ("Cannot reach remote desktop", "VPN drops every hour", "MFA prompt loops")
    ),
    "desk phones": Category(0.08, 1.0, ("No dial tone", "Calls go to wrong hunt group")),
    "laptop swap": Category(
        0.09, 2.1, ("Laptop battery swollen", "Replace cracked laptop", "Laptop will not boot")
    ),
    "restore request": Category(
        0.05, 1.7, ("Restore deleted folder", "Restore database from Friday")
    ),
    "new starter": Category(0.1, 1.5, ("New starter on Monday", "Set up new starter")),
    "leaver": Category(0.06, 0.8, ("Disable leaver account", "Leaver mailbox to manager")),
    "licensing": Category(0.06, 0.6, ("Licence expired", "Need one more CAD licence")),
    "wireless": Category(0.08, 1.3, ("Wireless slow in warehouse", "Guest wireless down")),
    "suspicious email": Category(
        0.05, 1.1, ("Suspicious invoice attachment", "Is this email real?")
    ),
}
