"""Answers that already exist."""
