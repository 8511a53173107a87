"""Files read within bounds and written whole, folders walked in one way, and signals."""
