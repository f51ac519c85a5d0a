"""Members that find each other: sealed requests to a card, sealed answers, and what came of it."""
