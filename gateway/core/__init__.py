"""Nouns without I/O, known to every stage; nothing here imports a third-party package."""
