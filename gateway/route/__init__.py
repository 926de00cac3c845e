"""Which deployments answer a call, and in which order."""
