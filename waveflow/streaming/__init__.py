"""The pieces that layers build their streaming stages from."""
