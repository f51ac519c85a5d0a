"""Anomaly detection: what is unusual, how unusual, and what makes it so."""
