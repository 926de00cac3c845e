"""Identical calls that are under way on other workers."""
