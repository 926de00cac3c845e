"""The tests of llmgw; they mirror `gateway/`."""
