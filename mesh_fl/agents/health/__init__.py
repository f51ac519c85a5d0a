"""Client health: which clients are about to leave, why, and what to do."""

from mesh_fl.agents.health.agent import ClientHealth, ClientHealthAnswer, Feature

__all__ = ["ClientHealth", "ClientHealthAnswer", "Feature"]
