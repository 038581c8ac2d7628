"""What specialists and the built-in generalist share: cards, weights, tensors, sessions, the thread."""
