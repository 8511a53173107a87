"""GPU speed of waveflow's vocoders beside Vocos and HiFi-GAN, all measured in one run.

``python benchmarks/gpu_peers.py`` prints a row for each vocoder, the peers in fp32 and under
bfloat16 autocast, each call being of 16 mels of ten seconds; ``peers.py`` says what is measured.
"""

from __future__ import annotations

from peers import run

if __name__ == "__main__":
    run(
        "GPU speed of waveflow's vocoders beside Vocos and HiFi-GAN, all measured in one run.",
        device="cuda",
        autocast="bf16",
        seconds=10.0,
        batch=16,
        rounds=50,
    )
