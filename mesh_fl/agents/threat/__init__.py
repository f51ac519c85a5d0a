"""Threat intelligence: how grave a text's threat is, what kind, by which techniques, what to do."""
