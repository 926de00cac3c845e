"""Anthropic's dialect as clients speak it."""
