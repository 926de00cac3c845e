"""Versioned prompt templates, put round a call."""
