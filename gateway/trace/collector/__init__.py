"""Whoever collects telemetry: where it is, how it is reached, and what it answered; for spans and metrics alike."""
