"""Many workers' real code over one simulated ledger, in simulated time, with everything that goes wrong (see world.py)."""
