"""A member's newest model of an agent, written for another program."""

from pathlib import Path

from mesh_fl.client.home import Home
from mesh_fl.client.member import open_member
from mesh_fl.errors import AgentError
from mesh_fl.store import locked, write_durably


def export_model(home: Home, agent: str, output: Path, shared: bool) -> str:
    """Write the model after an agent's newest training, and say what it is.

    Parameters
    ----------
    home : Home
    agent : str
        Registered name.
    output : Path
        Readable by its owner only.
    shared : bool
        Whether to leave out what is fitted to the member's own records.

    Raises
    ------
    AgentError
        If it was never trained here, or no other program knows its models.
    """
    with locked(home.path):
        member = open_member(home)
        seats = [member.resume(training) for training in member.trainings()]
    trained = [one for one in seats if one.plan.agent == agent and one.step > 0]
    if not trained:
        raise AgentError(f"agent {agent} was never trained here: there is no model to write")
    seat = trained[-1]
    state = seat.state if shared else seat.agent.adapt(seat.state, seat.dataset.at_home)
    write_durably(output, seat.agent.export(state).encode())
    whose = "the network's" if shared else "ours, fitted to our own records: not private"
    return f"wrote {output}: {agent} after {seat.step} releases of {seat.training[:8]}, {whose}"
