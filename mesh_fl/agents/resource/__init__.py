"""Resource allocation: how long work takes, who does it when, and how many people it needs."""
