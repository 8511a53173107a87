"""Training by exact likelihood: the only place that knows Lightning."""
