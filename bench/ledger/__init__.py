"""The ledger's proof at full size: the scenarios of tests/ledger, and what a reservation costs."""
