"""What a machine can do at best: the two lines of its roofline."""

from __future__ import annotations

import argparse

import torch

from waveflow.evaluation.peak import DTYPES, describe_machine, matmul_peak, median_seconds


def copy_bandwidth(device: str) -> float:
    """Bytes/s read and written together while half a gigabyte is copied."""
    source = torch.ones(2**27, device=device)
    target = torch.empty_like(source)
    return 2 * 4 * source.numel() / median_seconds(lambda: target.copy_(source), device)


def main() -> None:
    """Print the roofline."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    print(describe_machine(options.device))
    bandwidth = copy_bandwidth(options.device)
    print(f"copy: {bandwidth / 1e9:.1f} GB/s")
    for precision in DTYPES:
        peak = matmul_peak(options.device, precision)
        print(
            f"{precision} matrix product: {peak / 1e9:.0f} GFLOP/s, "
            f"reached from {peak / bandwidth:.1f} FLOP a byte on"
        )


if __name__ == "__main__":
    main()
