"""Benchmarks: agents on real data, beside what else an MSP could use."""
