"""Who is calling: a virtual key becomes a tenant."""
