"""The misbehaving provider, the misbehaving network, and the rows of bad input that drive tests."""
