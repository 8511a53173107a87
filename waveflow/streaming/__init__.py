"""The pieces that a layer builds its stage of a stream from."""
