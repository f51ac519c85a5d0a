"""Managed service providers learn together without showing each other their data."""

from mesh_fl.agent import Agent, Data, Rows, State, Total
from mesh_fl.check import Report, check_agent
from mesh_fl.errors import MeshError
from mesh_fl.schema import Field, Table

__version__ = "0.1.0"

__all__ = [
    "Agent",
    "Data",
    "Field",
    "MeshError",
    "Report",
    "Rows",
    "State",
    "Table",
    "Total",
    "check_agent",
]
