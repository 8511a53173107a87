"""Save and load vocoders: bundled with the package, in a folder, or on the Hugging Face hub."""
