"""From a plan to an answer: connections, dialects, retries, fallback and health."""
