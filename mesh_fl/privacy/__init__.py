"""Clipping, noise, encryption, keys and budgets: the only place where privacy is made."""
