"""Embedders as a running gateway uses them: none is ever waited for."""
