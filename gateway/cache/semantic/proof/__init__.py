"""What shows that kept answers are right: comparing them with real ones, and what routes have earned by it."""
