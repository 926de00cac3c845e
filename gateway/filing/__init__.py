"""Files and batches: passed on to the provider that keeps them, each visible to the tenant that made it and to nobody else."""
