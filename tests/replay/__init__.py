"""Replaying recorded calls under another policy."""
