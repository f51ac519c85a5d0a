"""Collaboration: who could help with what, and what a network has too little of."""
