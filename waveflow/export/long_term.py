"""The long-term predictor as ONNX operators: a scan over examples of scans over blocks."""

from __future__ import annotations

from waveflow.bijections.long_term import FLOOR, ConstantLongTerm
from waveflow.export.builder import OnnxBuilder


def long_term(module: ConstantLongTerm, builder: OnnxBuilder, z: str, parameters: str) -> str:
    """The inverse of the predictor.

    A block is a few convolutions of one signal with another, such as the past with the
    coefficients. ONNX has no convolution with a different kernel for each example, so a scan
    processes the examples one by one. Lags are in the order of samples, longest first.

    Args:
        module: The predictor.
        builder: The builder of the graph.
        z: The latent, (batch, blocks * block).
        parameters: Parameters of the blocks, (batch, n_params, blocks).

    Returns:
        x, (batch, blocks * block).
    """

    def rows(x: str, size: int) -> str:
        return builder.reshape(x, 0, -1, 1, 1, size)

    count, size = len(module.lags), module.kernel_size
    logits, kernel, *rest = builder.split(builder.swap(parameters), 2, [count, size, 1, 1, 1, 1, 1])
    norm = builder.op("ReduceL1", kernel, axes=[2], keepdims=1)
    kernel = builder.op("Div", kernel, builder.op("Max", norm, builder.constant(1.0)))
    sequences = [
        rows(z, module.block),
        rows(builder.flip(logits, 2), count),
        rows(kernel, size),
        *(rows(number, 1) for number in rest),
    ]
    silence = builder.constant(module.low_pass.new_zeros(1, 1, module.memory))

    def example(*blocks: str) -> list[str]:
        body = builder.subgraph(lambda *x: _block(module, builder, *x), inputs=1 + len(blocks))
        scanned = builder.ops(
            "Scan", silence, *blocks, outputs=2, body=body, num_scan_inputs=len(blocks)
        )
        return scanned[1:]

    body = builder.subgraph(example, inputs=len(sequences))
    audio = builder.op("Scan", *sequences, body=body, num_scan_inputs=len(sequences))
    return builder.reshape(audio, 0, -1)


def _block(
    module: ConstantLongTerm,
    builder: OnnxBuilder,
    past: str,
    z: str,
    logits: str,
    kernel: str,
    voicing: str,
    sharpness: str,
    gain: str,
    gain_slope: str,
    voicing_slope: str,
) -> tuple[str, str]:
    """The samples before the next block, and those of this one; all values are (1, 1, size)."""
    correlation = _correlation(module, builder, past)
    sharp = builder.op("Mul", sharpness, correlation)
    weights = builder.op("Softmax", builder.op("Add", logits, sharp))
    mean = builder.op("Conv", weights, correlation)

    def line(slope: str, start: str) -> str:
        return builder.op("Add", start, builder.op("Mul", slope, mean))

    strength = builder.op("Sigmoid", line(voicing_slope, voicing))
    factor = builder.op("Exp", line(gain_slope, gain))
    edge = module.kernel_size - 1
    taps = builder.op("Conv", weights, builder.op("Mul", kernel, strength), pads=[edge, edge])
    sizes = [
        min(module.shortest, module.block - start)
        for start in range(0, module.block, module.shortest)
    ]
    begin = module.memory - module.longest
    for excitation, size in zip(
        builder.split(builder.op("Mul", z, factor), 2, sizes), sizes, strict=True
    ):
        end = begin + module.longest - module.shortest + size
        predicted = builder.op("Conv", builder.slice(past, 2, begin, end), taps)
        past = builder.concat(2, past, builder.op("Add", excitation, predicted))
        begin += size
    return builder.slice(past, 2, module.block), builder.slice(past, 2, module.memory)


def _correlation(module: ConstantLongTerm, builder: OnnxBuilder, past: str) -> str:
    """Normalised correlations of the low-passed past with itself for each lag, longest first."""
    count, window = len(module.lags), module.window
    reach = module.correlated + module.low_pass.shape[0] - 1
    recent = builder.slice(past, 2, module.memory - reach)
    low = builder.op("Conv", recent, builder.constant(module.low_pass[None, None]))
    newest = builder.slice(low, 2, module.correlated - window)
    products = builder.op("Conv", builder.slice(low, 2, end=window + count - 1), newest)
    own = builder.op("Conv", newest, newest)
    squares = builder.op("Mul", low, low)
    sums = builder.op("CumSum", squares, builder.constant([2]), exclusive=1)
    energy = builder.op(
        "Sub", builder.slice(sums, 2, window, window + count), builder.slice(sums, 2, end=count)
    )
    energy = builder.op("Max", energy, builder.constant(0.0))
    energies = builder.op("Add", builder.op("Mul", energy, own), builder.constant(FLOOR))
    return builder.op("Div", products, builder.op("Sqrt", energies))
