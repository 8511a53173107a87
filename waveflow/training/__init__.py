"""Training by exact likelihood, with Lightning."""
