"""The fan of beams and its speckle."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from veritrain.worlds.echo_scan import SPARE, Fan, Speckle, cloud

FAN = Fan(height=120, width=160, depth=150.0, half_angle=0.7, apex=0.5, grain=(0.9, 1.1))


def test_places_are_polar():
    x, z = FAN.places
    assert x.shape == z.shape == (FAN.samples, FAN.beams)
    np.testing.assert_allclose(np.hypot(x, z), np.broadcast_to(FAN.radius, x.shape), rtol=1e-5)
    assert abs(x[:, FAN.beams // 2]).max() < 3 and x[-1, 0] < 0 < x[-1, -1]


def test_a_place_is_drawn_at_its_pixel():
    x, z = FAN.places
    spot = np.zeros_like(x)
    spot[70:76, 30:34] = 1
    shown = FAN.smooth(spot) > 0.5
    column, row = FAN.to_pixel(float(x[70:76, 30:34].mean()), float(z[70:76, 30:34].mean()))
    assert abs(FAN.pixels.column[shown].mean() + 0.5 - column) < 0.6
    assert abs(FAN.pixels.row[shown].mean() + 0.5 - row) < 0.6


def test_conversion_keeps_a_linear_field():
    x, z = FAN.places
    for field, axis in ((x, 0), (z, 1)):
        column, row = FAN.pixels.column + 0.5, FAN.pixels.row + 0.5
        true = np.array(FAN.to_pixel(0, 0))
        expected = ((column, row)[axis] - true[axis]) / FAN.pixels_per_mm
        assert np.abs(FAN.smooth(field) - expected).max() < 0.1


def test_pixels_lie_inside_the_fan():
    x = (FAN.pixels.column + 0.5 - 80) / FAN.pixels_per_mm
    z = (FAN.pixels.row + 0.5 - 0.02 * 120) / FAN.pixels_per_mm
    assert np.abs(np.arctan2(x, z)).max() <= FAN.half_angle and np.hypot(x, z).max() <= FAN.depth
    assert 0.3 < len(FAN.pixels.place) / (120 * 160) < 0.8


@pytest.fixture(scope="module")
def speckle():
    return Speckle(FAN, np.random.default_rng(3), kept=0.75)


class TestSpeckle:
    def test_amplitudes_are_rayleigh(self, speckle):
        amplitude = np.sqrt(speckle.intensity(0, (3, 9))[::7, ::7].ravel())  # far enough apart to be independent
        assert amplitude.size > 100
        assert stats.kstest(amplitude, stats.rayleigh(scale=np.sqrt(0.5)).cdf).pvalue > 1e-3
        assert speckle.intensity(0, (0, 0)).mean() == pytest.approx(1, abs=0.15)

    def test_neighbours_are_correlated_and_far_samples_are_not(self, speckle):
        field = speckle.intensity(0, (0, 0))
        field = field - field.mean()

        def correlation(down, across):
            one, two = field[: -down or None, : -across or None], field[down:, across:]
            return float((one * two).mean() / field.var())

        assert correlation(1, 0) > 0.4 and correlation(0, 1) > 0.4
        assert abs(correlation(12, 0)) < 0.1 and abs(correlation(0, 12)) < 0.1

    def test_most_of_it_stays_from_frame_to_frame(self, speckle):
        first, second = (speckle.intensity(4, place).ravel() for place in ((0, 0), (17, 29)))
        assert 0.4 < np.corrcoef(first, second)[0, 1] < 0.8
        assert np.corrcoef(first, speckle.intensity(30, (0, 0)).ravel())[0, 1] < 0.3

    def test_every_cut_fits(self, speckle):
        for place in (0, SPARE - 1):
            assert speckle.intensity(place, (place, place)).shape == (FAN.samples, FAN.beams)


def test_a_cloud_is_smooth_and_of_about_unit_variance():
    field = cloud(FAN, np.random.default_rng(0), (9, 8))
    assert field.shape == (FAN.samples, FAN.beams) and 0.4 < field.std() < 1.7
    assert np.abs(np.diff(field, axis=0)).max() < 0.6
