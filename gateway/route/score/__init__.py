"""What a cheaper model would lose on a call, told from its prompt and learned from the caller's own labelled pairs."""
