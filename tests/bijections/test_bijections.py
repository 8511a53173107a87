"""What single bijections promise beyond the laws."""

import pytest
import torch

from waveflow.bijections import (
    ActNorm,
    Additive,
    Affine,
    Channels,
    Checkerboard,
    ContextAffine,
    InvertibleConv1x1,
    LappedTransform,
    PLUConv1x1,
    Scale,
    Squeeze,
)


@pytest.mark.parametrize("groups", [2, 8, 64, 256])
def test_lapped_is_orthonormal_ends_included(groups, double):
    time = 3 * groups
    matrix = LappedTransform(groups)(torch.eye(time))[0].flatten(1)
    assert (matrix @ matrix.mT - torch.eye(time)).abs().max() < 1e-12
    assert (matrix.mT @ matrix - torch.eye(time)).abs().max() < 1e-12


def test_lapped_is_not_wrapped_round(double):
    matrix = LappedTransform(8)(torch.eye(40))[0]  # (sample, group, step)
    reach = matrix.abs().sum(1) > 1e-12
    for step in range(5):
        touched = reach[:, step].nonzero().flatten()
        assert touched.min() == max(0, 8 * step - 4)
        assert touched.max() == min(40, 8 * step + 12) - 1


def test_lapped_inner_blocks_are_the_mirrored_textbook_mdct(double):
    """Against the MDCT's definition with a sine window of 2 M samples, backwards in time."""
    m = 16
    audio = torch.randn(1, 5 * m)
    z = LappedTransform(m)(audio)[0][0]
    mirrored = audio[0].flip(0)
    n, k = torch.arange(2 * m), torch.arange(m)[:, None]
    window = torch.sin(torch.pi / (2 * m) * (n + 0.5))
    basis = (2 / m) ** 0.5 * torch.cos(torch.pi / m * (n + 0.5 + m / 2) * (k + 0.5))
    for step in range(1, 4):
        block = mirrored[step * m - m // 2 : (step + 1) * m + m // 2]
        assert torch.allclose((basis @ (window * block)).abs(), z[:, 4 - step].abs(), atol=1e-12)


@pytest.mark.parametrize("groups", [8, 64, 256])
def test_lapped_in_float32(groups):
    audio = torch.randn(1, 64 * 256)
    lapped = LappedTransform(groups)
    z = lapped(audio)[0]
    exact = lapped(audio.double())[0]
    assert (z - exact).abs().max() < 1e-6 * exact.abs().max()
    assert (lapped.inverse(z) - audio).abs().max() < 1e-6 * audio.abs().max()


def test_lapped_trains_after_inference_mode():
    lapped, audio = LappedTransform(6), torch.randn(1, 12)
    with torch.inference_mode():
        lapped(audio)
    lapped(audio.requires_grad_())[0].sum().backward()
    assert audio.grad is not None


@pytest.mark.parametrize("squeeze", [Squeeze(4), LappedTransform(4)])
def test_squeezes_refuse_a_part_of_a_group(squeeze):
    with pytest.raises(ValueError, match=r"multiple of 4; got \(1, 10\)"):
        squeeze(torch.zeros(1, 10))


def test_lapped_refuses_odd_groups():
    with pytest.raises(ValueError, match="even number of groups; got 5"):
        LappedTransform(5)


def test_actnorm_starts_at_unit_variance_once():
    actnorm = ActNorm(3)
    x = (
        torch.tensor([5.0, -2.0, 0.0])[:, None]
        + torch.randn(4, 3, 500) * torch.tensor([0.01, 3.0, 1.0])[:, None]
    )
    z, _ = actnorm(x)
    assert torch.allclose(z.mean((0, 2)), torch.zeros(3), atol=1e-3)
    assert torch.allclose(z.std((0, 2)), torch.ones(3), atol=1e-3)
    assert actnorm.state_dict()["initialized"]
    again, _ = actnorm(2 * x)
    assert again.std((0, 2)).min() > 1.9


def test_actnorm_waits_for_training_mode():
    actnorm = ActNorm(2).eval()
    x = 7 + torch.randn(1, 2, 10)
    assert torch.equal(actnorm(x)[0], x)
    assert not actnorm.initialized


def test_actnorm_survives_silence():
    z, log_det = ActNorm(2)(torch.zeros(1, 2, 10))
    assert z.isfinite().all()
    assert log_det.isfinite().all()


@pytest.mark.parametrize("convolution", [InvertibleConv1x1, PLUConv1x1])
def test_1x1_convolutions_start_as_rotations(convolution, double):
    x = torch.randn(1, 6, 4)
    z, log_det = convolution(6)(x)
    assert torch.allclose(z.square().sum(1), x.square().sum(1))
    assert log_det.abs().max() < 1e-12


def test_plu_gradient_leaves_the_unused_triangles_alone(double):
    convolution = PLUConv1x1(4)
    convolution(torch.randn(1, 4, 3))[0].sum().backward()
    assert (convolution.lower.grad.triu() == 0).all()
    assert (convolution.upper.grad.tril() == 0).all()


@pytest.mark.parametrize("swap", [False, True])
@pytest.mark.parametrize("partition", [Channels, Checkerboard])
def test_partitions_cover_everything_once(partition, swap):
    x = torch.arange(24.0).reshape(1, 4, 6)
    kept, moved = partition(swap=swap).split(x)
    both = torch.cat([kept.flatten(), moved.flatten()]).sort().values
    assert torch.equal(both, torch.arange(24.0))
    other_kept, other_moved = partition(swap=not swap).split(x)
    assert torch.equal(kept, other_moved)
    assert torch.equal(moved, other_kept)
    assert torch.equal(partition(swap=swap).merge(kept, moved), x)


def test_checkerboard_keeps_no_two_neighbours():
    ones = torch.ones(1, 2, 4)
    board = Checkerboard().merge(ones, 0 * ones)[0]
    assert torch.equal(board[1:], 1 - board[:-1])
    assert torch.equal(board[:, 1:], 1 - board[:, :-1])


def test_checkerboard_refuses_odd_channels():
    with pytest.raises(ValueError, match="even number of channels; got 3"):
        Checkerboard().split(torch.zeros(1, 3, 2))


@pytest.mark.parametrize(
    ("elementwise", "channels"), [(Additive(), 4), (Affine(), 4), (Scale(), 1)]
)
def test_elementwise_maps_refuse_misfitting_parameters(elementwise, channels):
    with pytest.raises(ValueError, match="expected parameters of shape"):
        elementwise(torch.zeros(1, 2, 3), torch.zeros(1, channels + 2, 3))
    with pytest.raises(ValueError, match="got None"):
        elementwise(torch.zeros(1, 2, 3))


def test_context_affine_needs_a_context():
    with pytest.raises(ValueError, match="expected a context"):
        ContextAffine(torch.nn.Identity(), Scale())(torch.zeros(1, 2, 3))


def test_the_inverse_is_that_of_the_weight_of_now():
    mixing = InvertibleConv1x1(6).eval()
    z = torch.randn(2, 6, 5)

    def check():
        with torch.no_grad():
            x = mixing.inverse(z.to(mixing.weight.dtype))
            assert torch.allclose(mixing(x)[0], z.to(x.dtype), atol=1e-5)
        return x

    first = check()
    assert torch.equal(check(), first)
    with torch.no_grad():
        mixing.weight.mul_(2)
    assert torch.allclose(check(), first / 2, atol=1e-6)
    mixing.load_state_dict(InvertibleConv1x1(6).state_dict())
    check()
    mixing.weight.grad = torch.ones_like(mixing.weight)
    torch.optim.Adam(mixing.parameters(), lr=0.1, fused=True).step()  # leaves the version alone
    check()
    mixing.weight.data.mul_(2)  # so does this
    check()
    mixing.weight.data = 3 * mixing.weight.data
    check()
    mixing.double()
    check()
    mixing.weight = torch.nn.Parameter(mixing.weight.detach() / 5)
    check()
    with torch.inference_mode():
        mixing.inverse(z.double())
    steered = z.double().requires_grad_()
    mixing.inverse(steered).sum().backward()
    assert mixing.weight.grad is not None
    mixing.weight.requires_grad_(False)
    mixing.inverse(steered).sum().backward()
