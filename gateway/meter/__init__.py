"""Tokens, prices, and what a call cost."""
