"""The walk of a deployment in one process: experiments, the demo, checks."""
