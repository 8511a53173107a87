"""Moves of latents: end points are exact, norms and variances stay, and moves can be undone."""

import math

import pytest
import torch

from waveflow.latents import (
    cut_to_shortest,
    direction,
    interpolate,
    move,
    scale_band,
    swap_band,
)

pytestmark = pytest.mark.usefixtures("double")


@pytest.fixture
def latents(double):
    return torch.randn(2, 32, 500)


class Test_interpolate:
    def test_end_points_are_exact(self, latents):
        one, other = latents
        assert torch.equal(interpolate(one, other, 0.0), one)
        assert torch.equal(interpolate(one, other, 1.0), other)

    @pytest.mark.parametrize("fraction", [0.1, 0.25, 0.5, 0.9])
    def test_the_norm_is_that_between(self, fraction, latents):
        one, other = latents[0], 3 * latents[1]
        expected = (1 - fraction) * one.norm() + fraction * other.norm()
        torch.testing.assert_close(interpolate(one, other, fraction).norm(), expected)

    def test_the_variance_stays_where_a_line_loses_half_of_it(self, latents):
        one, other = latents
        assert interpolate(one, other, 0.5).var().item() == pytest.approx(1, abs=0.03)
        assert (0.5 * (one + other)).var().item() == pytest.approx(0.5, abs=0.03)

    def test_the_angle_grows_evenly(self, latents):
        one, other = latents

        def angle(a, b):
            return (a.flatten() @ b.flatten() / a.norm() / b.norm()).acos().item()

        whole = angle(one, other)
        assert angle(one, interpolate(one, other, 0.3)) == pytest.approx(0.3 * whole, rel=1e-9)

    def test_back_and_forth(self, latents):
        one, other = latents
        torch.testing.assert_close(interpolate(one, other, 0.3), interpolate(other, one, 0.7))

    @pytest.mark.parametrize("distance", [0.0, 1e-12, 1e-5, 1e-3, 2e-3])
    def test_neighbours(self, distance, latents):
        one = latents[0]
        other = one + distance * one.norm() * latents[1] / latents[1].norm()
        expected = one + 0.25 * (other - one)
        assert (interpolate(one, other, 0.25) - expected).norm() <= distance**2 * one.norm() + 1e-9

    def test_of_single_precision_is_of_single_precision(self, latents):
        one, other = latents.float()
        assert interpolate(one, other, 0.4).dtype == torch.float32

    @pytest.mark.parametrize(
        ("change", "fraction", "message"),
        [
            (lambda z: -z, 0.5, "not opposite"),
            (lambda z: 0 * z, 0.5, "0 everywhere"),
            (lambda z: z[:, 1:], 0.5, "same shape"),
            (lambda z: z, 1.5, "from 0 to 1"),
            (lambda z: z, math.nan, "from 0 to 1"),
        ],
    )
    def test_what_cannot_be(self, change, fraction, message, latents):
        with pytest.raises(ValueError, match=message):
            interpolate(latents[0], change(latents[0]), fraction)


class Test_bands:
    def test_scaling_touches_its_band_alone(self, latents):
        scaled = scale_band(latents, 8, 16, 0.5)
        assert torch.equal(scaled[:, 8:16], 0.5 * latents[:, 8:16])
        assert torch.equal(scaled[:, :8], latents[:, :8])
        assert torch.equal(scaled[:, 16:], latents[:, 16:])
        torch.testing.assert_close(scale_band(scaled, 8, 16, 2.0), latents)

    def test_swapping_twice_changes_nothing(self, latents):
        one, other = latents
        mine, theirs = swap_band(one, other, 4, 32), swap_band(other, one, 4, 32)
        assert torch.equal(mine[4:], other[4:])
        assert torch.equal(mine[:4], one[:4])
        assert torch.equal(swap_band(mine, theirs, 4, 32), one)

    @pytest.mark.parametrize(("first", "stop"), [(-1, 4), (4, 4), (5, 4), (0, 33)])
    def test_no_such_band(self, first, stop, latents):
        with pytest.raises(ValueError, match="within 0 to 32"):
            scale_band(latents, first, stop, 1.0)


class Test_direction:
    def test_of_two_is_the_chord_cut_to_the_shorter(self, latents):
        one, other = latents[0], latents[1][:, :300]
        way = direction([one], [other])
        torch.testing.assert_close(move(one[:, :300], way, 1.0), other)

    def test_what_a_group_shares_is_found(self, double):
        shared = torch.randn(32, 100)
        plain = list(torch.randn(200, 32, 100))
        moved = [z + 0.5 * shared for z in torch.randn(200, 32, 120)[..., :100]]
        way = direction(plain, moved)
        cosine = (way.flatten() @ shared.flatten()) / way.norm() / shared.norm()
        assert cosine > 0.95

    def test_moves_are_undone(self, latents):
        z, way = latents
        torch.testing.assert_close(move(move(z, way, 0.7), way, -0.7), z)

    def test_the_norm_is_kept_if_asked(self, latents):
        z, way = latents
        torch.testing.assert_close(move(z, way, 2.0, keep_norm=True).norm(), z.norm())
        assert move(z, way, 2.0).norm() > 1.5 * z.norm()

    def test_empty_groups_and_other_vocoders(self, latents):
        with pytest.raises(ValueError, match="at least one"):
            direction([], [latents[0]])
        with pytest.raises(ValueError, match="one vocoder"):
            cut_to_shortest([latents[0], latents[1][:5]])


def test_a_moved_latent_is_another_sound_under_the_same_mel(ljspeech, speech):
    """Through a real vocoder: nothing moved is the recording, a move is undone by its opposite."""
    audio = speech.float()
    mel = ljspeech.float().mel(audio)
    with torch.no_grad():
        z = ljspeech.encode(audio, mel)[0]
        same = ljspeech.decode(interpolate(z, torch.randn_like(z), 0.0)[None], mel)
        other = ljspeech.decode(scale_band(z, 0, 64, 0.0)[None], mel)
    assert (same - audio).abs().max() < 1e-4
    assert (other - audio).abs().max() > 1e-2
