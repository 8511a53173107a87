"""Synthesis for use: a vocoder frozen into an engine, whole or streamed."""
