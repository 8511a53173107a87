"""The demo as Hugging Face Spaces runs it: ``python app.py``; see ``docs/demo.md``."""

from waveflow.demo.serve import serve

if __name__ == "__main__":
    serve()
