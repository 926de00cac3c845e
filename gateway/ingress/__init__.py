"""HTTP as clients and admins see it."""
