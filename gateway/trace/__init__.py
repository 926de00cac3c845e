"""One record for each call, written off its path."""
