"""`mesh-sim audit`: the privacy claim attacked, and bugs seeded to see that an attack finds them."""
