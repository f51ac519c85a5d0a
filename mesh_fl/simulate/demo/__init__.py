"""The demonstration: five MSPs as real processes, and a hundred small ones simulated."""
