"""Other projects' checkpoints, call shapes and mel conventions."""
