"""`mesh-sim audit`: the privacy claim attacked, and bugs seeded to see that attacks find them."""
