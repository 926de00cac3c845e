"""What workers and replicas share: an embedded SQLite file, or Redis."""
