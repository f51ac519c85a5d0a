"""Networks of the agents that read texts: what members hold, ask, and point to."""

import json
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from end_to_end.network import AGENT_TOML, CAP, TABLE_TOML, Network
from end_to_end.process import Process

EVENTS = (
    "Nightly backup of host {n} is complete",
    "User {n} mistyped the password three times and then got in",
    "Somebody scanned the ports of host {n} from 198.51.100.{n}",
    "User {n} typed the password into a copied sign-in page behind a link in a mail",
    "Files on host {n} were encrypted by ransomware and a note asks for a ransom",
)
"""By severity, from 0."""

EVIDENCE = (
    ("AC-2", "pass", "Accounts of the {n} people who left are closed on the same day"),
    ("AU-6", "pass", "Logs of host {n} are read every morning and oddities are reported"),
    ("CP-9", "fail", "Nobody has tried to restore the backup of host {n}"),
    ("AC-2", "fail", "The canteen serves soup on day {n}"),
)
"""Control, status, text."""

TECHNIQUES = (("T1078", "AC-2"), ("T1078", "IA-2"), ("T1110", "AC-7"), ("T1486", "CP-9"))

KEV = """\
cveID,vendorProject,product,vulnerabilityName,dateAdded,shortDescription,requiredAction,dueDate
CVE-2031-4242,Acme,Gate,Open Gate,2031-01-02,The gate is open,Turn the gate off at night,2031-02-03
"""

HOUSE = {
    "name": "House rules",
    "version": "7",
    "controls": [
        {"id": "H-1", "title": "Leavers", "text": "Accounts of people who leave are closed."},
        {"id": "H-2", "title": "Restoring", "text": "Backups are restored for a trial each year."},
    ],
}

Body = Mapping[str, object]


@dataclass(frozen=True)
class Texts:
    """One agent as members use it.

    Parameters
    ----------
    agent, path : str
        Its name and its endpoint.
    plan : str
        The part of server.toml that names it.
    tables : str
        The part of client.toml that describes the member's table and opts in.
    write : callable
        Writes a member's table into its home.
    files : mapping of str to str
        Reference files by name, with what they hold; only the first member has them.
    question : mapping
        A question whose answer a training changes.
    about_files : mapping
        A question that the reference files answer.
    learned : callable
        Takes what a training changes out of an answer.
    texts, documents : tuple of str
        Fields that take any text, and any JSON.
    """

    agent: str
    path: str
    plan: str
    tables: str
    write: Callable[[Path, random.Random], None]
    files: Mapping[str, str]
    question: Body
    about_files: Body
    learned: Callable[[Mapping[str, Any]], object]
    texts: tuple[str, ...]
    documents: tuple[str, ...]


def _write_events(home: Path, rng: random.Random) -> None:
    lines = ["event_id,ts,source,severity,message"]
    for number in range(CAP):
        severity = rng.randrange(len(EVENTS))
        message = EVENTS[severity].format(n=rng.randrange(1, 250))
        lines.append(f"e{number},2031-01-01T00:00:{number % 60:02d}Z,mail,{severity},{message}")
    (home / "events.csv").write_text("\n".join(lines) + "\n")


def _write_evidence(home: Path, rng: random.Random) -> None:
    lines = ["evidence_id,control_ref,system,status,collected_at,text,technique"]
    for number in range(CAP):
        if number % 2:
            technique, control = rng.choice(TECHNIQUES)
            lines.append(f"v{number},{control},,,2031-01-01,,{technique}")
        else:
            control, status, text = rng.choice(EVIDENCE)
            told = text.format(n=rng.randrange(1, 250))
            lines.append(f"v{number},{control},srv,{status},2031-01-01,{told},")
    (home / "evidence.csv").write_text("\n".join(lines) + "\n")


THREAT = Texts(
    agent="threat",
    path="/threat-intelligence",
    # Trained models are configured otherwise than the public one, as in any real plan.
    plan=f"""
[agents.threat.config]
records = {4.0 * CAP}
""",
    tables="""
[tables.events]
path = "events.csv"
id = "event_id"

[tables.events.columns]
text = { column = "message" }

[tables.events.columns.severity]
column = "severity"
values = { "0" = "low", "1" = "low", "2" = "medium", "3" = "high", "4" = "critical" }

[agents.threat]
table = "events"
""",
    write=_write_events,
    files={"kev.csv": KEV},
    question={"text": EVENTS[3].format(n=1), "client_id": "c1"},
    about_files={"text": "The scanner found CVE-2031-4242 on the gate"},
    learned=lambda answer: answer["severity_chances"],
    texts=("text", "threat_type", "stix"),
    documents=("stix",),
)

COMPLIANCE = Texts(
    agent="compliance",
    path="/compliance",
    plan="""
[agents.compliance]
""",
    tables="""
[tables.evidence]
path = "evidence.csv"
id = "evidence_id"

[tables.evidence.columns]
satisfied = { column = "status", values = { pass = "yes", fail = "no" } }

[agents.compliance]
table = "evidence"
""",
    write=_write_evidence,
    files={"house.json": json.dumps(HOUSE)},
    question={"technique": "T1078", "client_id": "c1"},
    about_files={"policy_text": "We close the accounts of everybody who leaves on the same day."},
    learned=lambda answer: [one["share"] for one in answer["controls_for_technique"]],
    texts=("text", "policy_text", "technique", "control_ref", "framework", "evidence"),
    documents=("evidence",),
)


@dataclass
class TextNetwork(Network):
    """A network whose members hold texts."""

    texts: Texts = THREAT
    clients: dict[str, Process] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.agent, self.path = self.texts.agent, self.texts.path
        self.record = self.texts.question

    def make_server(self) -> None:
        super().make_server()
        settings = self.server / "server.toml"
        text = settings.read_text().replace(AGENT_TOML, self.texts.plan)
        settings.write_text(f'{text}\n[expect]\ndata = "none"\n')

    def make_member(self, name: str, register: bool = True) -> Path:
        home = super().make_member(name, register)
        settings = home / "client.toml"
        settings.write_text(settings.read_text().replace(TABLE_TOML, self.texts.tables))
        self.texts.write(home, random.Random(name))
        return home

    def point_to_files(self, home: Path) -> None:
        for name, content in self.texts.files.items():
            (home / name).write_text(content)
        self.name_files(home, *(f'{Path(name).stem} = "{name}"' for name in self.texts.files))

    def name_files(self, home: Path, *lines: str) -> None:
        with (home / "client.toml").open("a") as settings:
            settings.write("\n".join(["", f"[agents.{self.agent}.files]", *lines, ""]))
