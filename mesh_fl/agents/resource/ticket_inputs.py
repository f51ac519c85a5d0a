"""What an MSP's own tickets tell as they are opened."""

from mesh_fl.agents.resource.inputs import Input

PRIORITIES = (1.5, 2.5, 3.5)
"""Between 1, the most urgent, and 4."""


def ticket_inputs() -> tuple[Input, ...]:
    """Return the inputs that the product's table of tickets has a column for."""
    return (
        Input(name="category", kind="text", description="What it is about."),
        Input(
            name="priority",
            kind="number",
            low=1,
            high=4,
            edges=PRIORITIES,
            weight=0.5,
            description="1 (most urgent) to 4.",
        ),
        Input(
            name="est_hours",
            kind="number",
            low=0,
            edges=(0.25, 0.5, 1, 2, 4, 8, 16),
            factors=(0.15, 0.35, 0.7, 1.4, 2.8, 5.6, 11, 22),
            description="Estimated work, in hours.",
        ),
        Input(name="opened_at", kind="time", weight=0.5, description="Opened."),
    )
