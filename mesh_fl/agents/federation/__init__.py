"""Federated learning: what steers the trainings of the other agents."""
