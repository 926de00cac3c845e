"""WebSockets, whichever side we are: frames without I/O, and messages that are awaited."""
