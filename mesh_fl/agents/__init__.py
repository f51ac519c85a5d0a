"""The agents that ship with mesh_fl."""
