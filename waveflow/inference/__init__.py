"""Synthesis for use: streams, engines, and graphs for other runtimes."""
