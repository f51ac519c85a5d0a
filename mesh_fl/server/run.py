"""One process: Flower's SuperLink, the training, and the operator's status."""

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path

from fastapi import FastAPI
from pydantic import BaseModel
from starlette.middleware.trustedhost import TrustedHostMiddleware

from mesh_fl.agent import Agent
from mesh_fl.checkpoint import BLOB, Checkpoint
from mesh_fl.exchange import Exchange
from mesh_fl.local_http import LocalServer
from mesh_fl.logbook import Event
from mesh_fl.registry import build
from mesh_fl.server.app import make_app
from mesh_fl.server.certificates import operator_key
from mesh_fl.server.exchange import FlowerExchange
from mesh_fl.server.forecast import announce, forecast
from mesh_fl.server.members import Members
from mesh_fl.server.planning import plan_for
from mesh_fl.server.report import Report, report_of
from mesh_fl.server.settings import ServerSettings, load_settings
from mesh_fl.server.superlink import SuperLink
from mesh_fl.store import Blobs, Folder, locked, write_durably
from mesh_fl.terminal import Narrator
from mesh_fl.training import Training, begin

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
        The training so far.
    """

    network: str
    address: str
    registered: list[str]
    connected: list[str]
    refused: dict[str, str]
    step: int
    steps: int
    report: Report


def open_training(
    settings: ServerSettings, members: Members, blobs: Blobs, new: bool
) -> tuple[Agent, Checkpoint]:
    """Return the stored training, or begin one."""
    stored = Checkpoint.load(blobs)
    if stored is not None and not new:
        return build(stored.plan.agent, json.loads(stored.plan.config)), stored
    agent, plan = plan_for(settings, members.roster())
    fresh = begin(agent, plan)
    if stored is not None:
        blobs[f"{BLOB}.{int(time.time())}"] = blobs[BLOB]
        # A home restored since then is shown what it has signed, before it takes part.
        fresh.latest = stored.latest
    return agent, fresh


def make_training(
    home: Path,
    settings: ServerSettings,
    exchange: Exchange,
    narrator: Narrator,
    *,
    new: bool,
    stopped: Callable[[], bool] = lambda: False,
) -> Training:
    """Return the training of a home, to be run over an exchange."""
    blobs, members = Folder(home / "training"), Members(home)
    begins = new or BLOB not in blobs
    agent, checkpoint = open_training(settings, members, blobs, new)
    if begins:
        announce(forecast(settings, checkpoint.plan, members.roster()), narrator)
    return Training(
        agent=agent,
        checkpoint=checkpoint,
        exchange=exchange,
        blobs=blobs,
        operator=operator_key(home),
        timeout_s=settings.wait.timeout_s,
        patience_s=settings.wait.patience_s,
        quorum=settings.wait.quorum,
        waits=True,
        stopped=stopped,
        on_event=lambda event: _narrate(narrator, event),
    )


def keep_report(home: Path, training: Training) -> Report:
    """Write report.json, and return the report."""
    report = report_of(training.checkpoint)
    write_durably(home / "report.json", report.model_dump_json(indent=2).encode())
    return report


def run_server(
    home: Path, narrator: Narrator, stopped: threading.Event, *, new: bool, once: bool
) -> Report:
    """Train to the end, then hand the model to whoever lacks it, until stopped.

    Parameters
    ----------
    home : Path
        Where server.toml is.
    new : bool
        Begin a new training although one is stored.
    once : bool
        Return when the training is over.

    Raises
    ------
    MeshError
        If something is wrong that waiting does not mend.
    """
    with locked(home):
        settings = load_settings(home)
        superlink = SuperLink(
            settings.host,
            settings.port,
            ca=settings.ca,
            certificate=settings.certificate,
            key=settings.key,
        )
        exchange = FlowerExchange(superlink, Members(home), stopped=stopped.is_set)
        training = make_training(
            home, settings, exchange, narrator, new=new, stopped=stopped.is_set
        )
        api = _status_api(settings, exchange, training)
        with superlink, LocalServer(api, "127.0.0.1", settings.status_port) as local:
            narrator.say(
                f"members connect to {settings.host}:{superlink.port}; status at "
                f"{local.address}/status",
                kind="listening",
                port=superlink.port,
                status=local.address,
            )
            if (status := training.checkpoint.status) != "running":
                told = f"this training is over ({status}); members get its model; "
                narrator.say(told + "`mesh-server start --new` begins another", kind="over")
            superlink.run(make_app(training))
            report = keep_report(home, training)
            if training.checkpoint.status != "running":
                if not once:
                    told = "members that come back get the last model, until this is stopped"
                    narrator.say(told, kind="serving")
                _close(training, stopped, once)
        return report


def _close(training: Training, stopped: threading.Event, once: bool) -> None:
    """Give the last model to members that come back; once, to those that are here."""
    training.close()
    while not (once or stopped.is_set()):
        training.close()
        stopped.wait(IDLE_S)


def _narrate(narrator: Narrator, event: Event) -> None:
    if event.kind in ("asked", "round"):
        narrator.progress(event.text, event.step, event.steps, kind=event.kind)
    else:
        narrator.say(event.text, kind=event.kind, step=event.step, steps=event.steps)


def _status_api(settings: ServerSettings, exchange: FlowerExchange, training: Training) -> FastAPI:
    api = FastAPI(title=f"mesh_fl network {settings.name}", docs_url=None, redoc_url=None)
    api.add_middleware(TrustedHostMiddleware, allowed_hosts=["localhost", "127.0.0.1"])

    @api.get("/status")
    def status() -> Status:
        return Status(
            network=settings.name,
            address=f"{settings.host}:{settings.port}",
            registered=sorted(exchange.roster().cards),
            connected=sorted(exchange.connected()),
            # A copy, since the training changes it in another thread.
            refused=dict(training.enrolment.excluded),
            step=training.checkpoint.step,
            steps=len(training.plan.schedule),
            report=report_of(training.checkpoint),
        )

    @api.get("/health")
    def health() -> dict[str, str]:
        return {"status": "ok"}

    return api
