"""Vocoders saved and loaded: bundled with the package, in a folder, on the Hugging Face hub."""
