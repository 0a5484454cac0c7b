"""Data sets, each a pure function of a random key, and losses and accuracies, one number a point."""
