"""CPU speed of waveflow's vocoders beside Vocos and HiFi-GAN, all measured in one run.

``python benchmarks/cpu_peers.py`` prints a row for each vocoder; ``peers.py`` says what is
measured.
"""

from __future__ import annotations

from peers import run

if __name__ == "__main__":
    run("CPU speed of waveflow's vocoders beside Vocos and HiFi-GAN, all measured in one run.")
