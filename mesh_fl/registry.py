"""Agents by name: the ten built-in ones use the same table as a stranger's."""

import importlib
import json
from functools import cache
from importlib.metadata import entry_points

from pydantic import TypeAdapter, ValidationError
from pydantic.errors import PydanticUserError

from mesh_fl.agent import Agent
from mesh_fl.errors import AgentError

GROUP = "mesh_fl.agents"


def agent_names() -> tuple[str, ...]:
    """Return the registered names, sorted."""
    return tuple(sorted(entry_points(group=GROUP).names))


@cache
def agent_class(name: str) -> type[Agent]:
    """Return the class behind a registered name or a `package.module:Class`.

    Raises
    ------
    AgentError
        If there is no such name, or what it names is not an agent.
    """
    found = _load(name)
    if not (isinstance(found, type) and issubclass(found, Agent)):
        raise AgentError(f"expected {name} to be a subclass of mesh_fl.Agent, found {found!r}")
    return found


def build(name: str, config: dict[str, object]) -> Agent:
    """Make an agent from its name and its configuration.

    Raises
    ------
    AgentError
        If a field is unknown, missing or of the wrong type, or the class is unfinished.
    """
    cls = agent_class(name)
    try:
        return TypeAdapter(cls).validate_python(config, extra="forbid")
    except ValidationError as error:
        lines = [
            f"  {'.'.join(map(str, problem['loc'])) or cls.__name__}: {problem['msg']}"
            for problem in error.errors(include_url=False)
        ]
        raise AgentError("\n".join([f"agent {name} cannot be configured so:", *lines])) from None
    except (PydanticUserError, TypeError) as error:
        raise AgentError(
            f"agent {name} cannot be made: expected a frozen dataclass with every mandatory "
            f"method, found {str(error).splitlines()[0]}"
        ) from error


def config_of(agent: Agent) -> str:
    """Return an agent's configuration as canonical JSON: the part of it that a plan binds."""
    config = TypeAdapter(type(agent)).dump_python(agent, mode="json")
    return json.dumps(config, sort_keys=True, separators=(",", ":"))


def _load(name: str) -> object:
    if ":" in name:
        module, _, attribute = name.partition(":")
        try:
            return getattr(importlib.import_module(module), attribute)
        except (ImportError, AttributeError, ValueError) as error:
            raise AgentError(
                f"cannot import agent {name}: {error}; install its package here, or name its "
                "folder in PYTHONPATH"
            ) from error
    matches = entry_points(group=GROUP, name=name)
    if not matches:
        known = ", ".join(agent_names()) or "none"
        raise AgentError(
            f"no agent is registered as {name!r}; registered: {known}; or give package.module:Class"
        )
    try:
        return matches[name].load()
    except (ImportError, AttributeError) as error:
        raise AgentError(f"agent {name} is registered but cannot be imported: {error}") from error
