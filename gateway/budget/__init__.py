"""What each tenant holds and has spent."""
