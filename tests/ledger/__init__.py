"""The ledger's promises, black-box: real gateways as processes against a provider that keeps its own count."""
