"""What the store keeps for others than the ledger, the keys and the cache: one file for each kind."""
