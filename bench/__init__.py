"""The benchmark: llmgw beside its peers, on one machine, in one run. Read README.md first."""
