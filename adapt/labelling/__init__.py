"""The data engine: a model draws, people look where it is worth it, the masks train, and a gate decides what stays."""
