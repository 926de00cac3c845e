"""Sessions of the realtime API: the same stages as a call's, around a relay of messages in both directions."""
