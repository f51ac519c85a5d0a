"""Compliance: what a framework asks for, what a policy says, and what the checks found."""
