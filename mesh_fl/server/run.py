"""One process: Flower's SuperLink, the trainings, and the operator's status."""

import threading
from collections.abc import Sequence
from pathlib import Path

from fastapi import FastAPI
from pydantic import BaseModel
from starlette.middleware.trustedhost import TrustedHostMiddleware

from mesh_fl.errors import PlanError
from mesh_fl.local_http import LocalServer
from mesh_fl.server.app import make_app
from mesh_fl.server.exchange import FlowerExchange
from mesh_fl.server.members import Members
from mesh_fl.server.programme import Programme, spent_before
from mesh_fl.server.report import Report, report_of
from mesh_fl.server.settings import ServerSettings, load_settings
from mesh_fl.server.steering import next_steps, steered
from mesh_fl.server.superlink import SuperLink
from mesh_fl.store import locked
from mesh_fl.terminal import Narrator

IDLE_S = 0.5


class Status(BaseModel):
    """What GET /status tells the operator.

    Parameters
    ----------
    network, address : str
        Who we are, and where members connect.
    registered, connected : list of str
        Members by name.
    refused : dict of str to str
        Members whose refusal lasts, and why.
    step, steps : int
        Releases done, and planned.
    report : Report
        The training that runs, or the last one.
    reports : list of Report
        All trainings, one an agent.
    """

    network: str
    address: str
    registered: list[str]
    connected: list[str]
    refused: dict[str, str]
    step: int
    steps: int
    report: Report | None
    reports: list[Report]


def run_server(
    home: Path,
    narrator: Narrator,
    stopped: threading.Event,
    *,
    new: bool,
    once: bool,
    agents: Sequence[str] = (),
    steers: bool = False,
) -> list[Report]:
    """Train every agent to the end, then hand the models to whoever lacks them, until stopped.

    Parameters
    ----------
    home : Path
        Where server.toml is.
    new : bool
        Begin new trainings although some are stored.
    once : bool
        Return when all trainings are over.
    agents : sequence of str
        These alone; all of server.toml when empty.
    steers : bool
        Train those that a forecast says are worth it, in the order of what they gain.

    Raises
    ------
    MeshError
        If something is wrong that waiting does not mend.
    """
    with locked(home):
        settings = load_settings(home)
        if steers:
            settings = _steered(home, settings, narrator)
        superlink = SuperLink(
            settings.host,
            settings.port,
            ca=settings.ca,
            certificate=settings.certificate,
            key=settings.key,
        )
        exchange = FlowerExchange(superlink, Members(home), stopped=stopped.is_set)
        programme = Programme(home, settings, exchange, narrator, new, agents, stopped.is_set)
        programme.open_first()
        api = _status_api(settings, exchange, programme)
        with superlink, LocalServer(api, "127.0.0.1", settings.status_port) as local:
            narrator.say(
                f"members connect to {settings.host}:{superlink.port}; status at "
                f"{local.address}/status",
                kind="listening",
                port=superlink.port,
                status=local.address,
            )
            superlink.run(make_app(programme))
            reports = programme.keep_reports()
            if programme.is_over:
                if not once:
                    told = "members that come back get the last models, until this is stopped"
                    narrator.say(told, kind="serving")
                _close(programme, stopped, once)
        return reports


def _steered(home: Path, settings: ServerSettings, narrator: Narrator) -> ServerSettings:
    """Choose agents, their order, rounds and cohorts by forecasts; tell why."""
    spent = {name: spent_before(home, name) for name in settings.agents}
    steps = next_steps(settings, Members(home).roster(), spent)
    for step in steps:
        what = f"{step.rounds} rounds of {step.survivors} members or more" if step.trains else "no"
        narrator.say(f"{step.agent}: {what}: {step.reason}", kind="steered", **vars(step))
    chosen = steered(settings, steps)
    if not chosen.agents:
        raise PlanError("no agent is worth a training now: see the reasons above")
    return chosen


def _close(programme: Programme, stopped: threading.Event, once: bool) -> None:
    """Give the last models to members that come back; once, to those that are here."""
    programme.close()
    while not (once or stopped.is_set()):
        programme.close()
        stopped.wait(IDLE_S)


def _status_api(
    settings: ServerSettings, exchange: FlowerExchange, programme: Programme
) -> FastAPI:
    api = FastAPI(title=f"mesh_fl network {settings.name}", docs_url=None, redoc_url=None)
    api.add_middleware(TrustedHostMiddleware, allowed_hosts=["localhost", "127.0.0.1"])

    @api.get("/status")
    def status() -> Status:
        training, reports = programme.current, programme.reports()
        at = training and training.checkpoint
        return Status(
            network=settings.name,
            address=f"{settings.host}:{settings.port}",
            registered=sorted(exchange.roster().cards),
            connected=sorted(exchange.connected()),
            # A copy, since the training changes it in another thread.
            refused=dict(training.enrolment.excluded) if training else {},
            step=at.step if at else 0,
            steps=len(at.plan.schedule) if at else 0,
            report=report_of(at) if at else None,
            reports=reports,
        )

    @api.get("/health")
    def health() -> dict[str, str]:
        return {"status": "ok"}

    return api
