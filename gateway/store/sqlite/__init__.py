"""The embedded store: one SQLite file, shared by the worker processes of one machine."""
