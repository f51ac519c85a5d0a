"""The laws of the agent contract, each with a way to find out whether an agent keeps it."""
