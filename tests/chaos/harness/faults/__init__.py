"""The faults of a chaos run: their plan, their injection, and the proxy that disturbs the traffic to the broker."""
