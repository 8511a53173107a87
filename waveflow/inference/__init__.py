"""Fast synthesis: a vocoder frozen into an engine, for whole mels and for streams."""
