"""Call records and their roll-ups in a SQLite file."""
