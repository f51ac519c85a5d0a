"""Agent query: a plain question about the own tables, its SQL and a checked result."""
