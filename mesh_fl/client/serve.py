"""Local inference over HTTP, for this machine: each agent's endpoint, its API, and health."""

from collections.abc import Callable, Mapping
from math import isfinite
from typing import Annotated

from fastapi import Body, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from fastapi.responses import JSONResponse, Response
from fastapi_offline import FastAPIOffline
from pydantic import BaseModel
from starlette.middleware.base import RequestResponseEndpoint
from starlette.middleware.trustedhost import TrustedHostMiddleware

from mesh_fl.agent import Agent
from mesh_fl.client.models import Models, Served
from mesh_fl.errors import AgentError, DataError, MeshError
from mesh_fl.schema import Field, Table, Value, table_of

LARGEST_BODY_BYTES = 16 * 2**20
LARGEST_BATCH = 10_000

Body_ = Annotated[dict[str, object], Body()]


def make_api(
    agents: Mapping[str, type[Agent]], models: Models, health: Callable[[], BaseModel], host: str
) -> FastAPI:
    """Return the member's local HTTP interface.

    Parameters
    ----------
    agents : dict of str to type
        Classes of the agents that this member opted into, by name.
    models : Models
        Where the newest models are.
    health : callable
        What GET /health tells.
    host : str
        The address that is served; requests that name another host are refused, so that no web
        page can reach this interface through the browser of somebody here.
    """
    api = FastAPIOffline(
        title="mesh_fl member",
        description="Answers from models that stay here.",
        redoc_url=None,
    )
    api.add_middleware(TrustedHostMiddleware, allowed_hosts=local_hosts(host))
    api.middleware("http")(_refuse_large)
    api.exception_handler(MeshError)(_as_json)
    api.exception_handler(RequestValidationError)(_no_object)
    api.exception_handler(400)(_no_object)  # of a body that no parser takes
    for name, cls in agents.items():
        api.post(path_of(name, cls), name=name, tags=["agents"])(_endpoint(name, models))
    api.get("/health", tags=["member"])(health)
    api.openapi = lambda: _described(api, agents, models)  # type: ignore[method-assign]
    return api


def local_hosts(host: str) -> list[str]:
    """Return the names by which this machine may be asked."""
    return ["localhost", "127.0.0.1", "[::1]", f"[{host}]" if ":" in host else host]


def path_of(name: str, cls: type[Agent]) -> str:
    """Return where an agent answers."""
    return cls.endpoint or f"/agents/{name.replace(':', '/')}"


def answer(served: Served, body: Mapping[str, object]) -> dict[str, object]:
    """Answer one record, or a batch under "records", and say which model answered.

    Raises
    ------
    DataError
        With one line for each value that cannot be read; then nothing is answered.
    """
    batch = body.get("records")
    bodies = [body] if batch is None else _batch(batch)
    fields = _inputs(served.agent)
    table = _table(fields, bodies, named=batch is not None)
    answers = [
        {**_echo(one, fields), **each.model_dump(mode="json")}
        for one, each in zip(bodies, served.answer(table), strict=True)
    ]
    model = served.card.model_dump(mode="json")
    return {**answers[0], "model": model} if batch is None else {"answers": answers, "model": model}


def _endpoint(name: str, models: Models) -> Callable[[Body_], dict[str, object]]:
    def post(body: Body_) -> dict[str, object]:
        return answer(models.newest(name), body)

    return post


def _inputs(agent: Agent) -> tuple[Field, ...]:
    label = getattr(agent, "label", None)
    return tuple(field for field in agent.schema if field.name != label)


def _batch(batch: object) -> list[Mapping[str, object]]:
    if not isinstance(batch, list) or not 1 <= len(batch) <= LARGEST_BATCH:
        raise DataError(f"records: expected a list of 1 to {LARGEST_BATCH} records")
    if not all(isinstance(one, dict) for one in batch):
        raise DataError("records: expected each record to be an object with the agent's fields")
    return batch


def _table(fields: tuple[Field, ...], bodies: list[Mapping[str, object]], named: bool) -> Table:
    problems: list[str] = []
    records: list[Mapping[str, Value]] = []
    for number, body in enumerate(bodies):
        record: dict[str, Value] = {}
        for field in fields:
            try:
                record[field.name] = field.parse(body.get(field.name))
            except DataError as error:
                problems.append(f"record {number}, {error}" if named else str(error))
        records.append(record)
    if problems:
        raise DataError("\n".join(problems[:50]))
    return table_of(fields, records)


def _echo(body: Mapping[str, object], fields: tuple[Field, ...]) -> dict[str, object]:
    """Return what identifies a record, and which of its fields the model does not use."""
    known = {field.name for field in fields}
    identity = {
        _plain(name): _identifier(name, body[name])
        for name in body
        if name.endswith("_id") and name not in known
    }
    unused = sorted(_plain(name) for name in body if name not in known and name not in identity)
    return {**identity, "unused_fields": unused}


def _identifier(name: str, value: object) -> object:
    if value is None or isinstance(value, int) or (isinstance(value, float) and isfinite(value)):
        return value
    if isinstance(value, str):
        return _plain(value)
    raise DataError(f"{_plain(name)}: expected text or a number, found {type(value).__name__}")


def _plain(text: str) -> str:
    """Replace halves of surrogate pairs, which JSON may hold and an answer may not."""
    return text.encode(errors="replace").decode()


def _described(
    api: FastAPI, agents: Mapping[str, type[Agent]], models: Models
) -> dict[str, object]:
    """Return the OpenAPI document, with the fields that the served models take."""
    document = get_openapi(
        title=api.title, version="1", description=api.description, routes=api.routes
    )
    for name, served in models.served().items():
        if name in agents:
            post = document["paths"][path_of(name, agents[name])]["post"]
            record = _record_schema(_inputs(served.agent))
            batch = {
                "type": "object",
                "properties": {"records": {"type": "array", "items": record}},
            }
            post["requestBody"]["content"]["application/json"]["schema"] = {
                "anyOf": [record, {**batch, "required": ["records"]}]
            }
    return document


def _record_schema(fields: tuple[Field, ...]) -> dict[str, object]:
    return {
        "type": "object",
        "properties": {
            "client_id": {"type": "string"},
            **{field.name: _field_schema(field) for field in fields},
        },
        "required": [field.name for field in fields if not field.optional],
    }


def _field_schema(field: Field) -> dict[str, object]:
    kinds: dict[str, dict[str, object]] = {
        "number": {"type": "number", "minimum": field.low, "maximum": field.high},
        "flag": {"type": "boolean"},
        "category": {"type": "string", "enum": list(field.levels)},
        "text": {"type": "string"},
        "time": {"type": "string", "format": "date-time"},
        "document": {"anyOf": [{"type": "object"}, {"type": "array"}, {"type": "string"}]},
    }
    told = {key: value for key, value in kinds[field.kind].items() if value is not None}
    return {**told, "description": field.description or field.expects()}


async def _refuse_large(request: Request, call_next: RequestResponseEndpoint) -> Response:
    size = request.headers.get("content-length", "0")
    if "transfer-encoding" in request.headers or int(size) > LARGEST_BODY_BYTES:
        told = f"expected a body of known length, at most {LARGEST_BODY_BYTES} bytes"
        return JSONResponse({"detail": told}, status_code=413)
    return await call_next(request)


async def _no_object(request: Request, error: Exception) -> Response:
    """Say what is expected; the body is not repeated, since it may be large or unprintable."""
    told = "expected a JSON object with the agent's fields, sent as application/json; see /docs"
    return JSONResponse({"detail": told}, status_code=422)


async def _as_json(request: Request, error: Exception) -> Response:
    status = 422 if isinstance(error, DataError) else 503 if isinstance(error, AgentError) else 500
    return JSONResponse({"detail": str(error)}, status_code=status)
