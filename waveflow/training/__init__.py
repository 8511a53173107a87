"""Training by exact likelihood, on Lightning."""
