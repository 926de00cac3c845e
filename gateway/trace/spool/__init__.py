"""What a worker that dies leaves of its records and of the calls that it was answering."""
