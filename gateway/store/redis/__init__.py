"""The shared store of several machines: a Redis, alone, behind sentinels, or as a cluster."""
