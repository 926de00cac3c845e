"""What routing to cheaper models saves, and loses, on graded answers."""
