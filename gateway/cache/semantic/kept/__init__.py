"""The questions that have an answer in the cache, and how they are found."""
