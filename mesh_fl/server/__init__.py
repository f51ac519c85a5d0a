"""The operator side: Flower SuperLink, ServerApp and status in one process."""
