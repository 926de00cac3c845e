"""Files that a provider keeps for tenants: whose they are, and how calls name them."""
