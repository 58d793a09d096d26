from dataclasses import replace

import numpy as np
import pytest
import torch

from cl_bench.datasets.rendering.captions import COLOR_NAMES
from cl_bench.datasets.rendering.drawing import Distortion, draw_colors, draw_images

STILL = Distortion(rotation=0, scale=(1, 1), slant=0, shift=0, elastic=0, stroke=0, noise=0)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def draw(masks, distortion, seed=0, color=0):
    return draw_images(masks, torch.full((len(masks),), color), distortion, generator(seed))


def smooth_mask():
    """A square with a gradient inside, off the middle, so that no axis or direction can be mistaken."""
    mask = torch.zeros(48, 48)
    mask[12:34, 16:40] = torch.linspace(0.2, 1, 24)[None] * torch.linspace(0.5, 1, 22)[:, None]
    return mask


def naive_share(mask, scale, shear):
    """Bilinear sampling at the inverse of (x, y) -> scale (x - shear y, y), pixel by pixel in float64."""
    mask = np.pad(mask.double().numpy(), 1)
    share = np.zeros((32, 32))
    for i in range(32):
        for j in range(32):
            y, x = ((2 * k + 1) / 32 - 1 for k in (i, j))
            x, y = x / scale + shear * y / scale, y / scale
            row, column = ((p + 1) * 24 - 0.5 + 1 for p in (y, x))
            if not (0 <= row < 49 and 0 <= column < 49):
                continue
            r, c = int(row), int(column)
            a, b = row - r, column - c
            share[i, j] = (1 - a) * ((1 - b) * mask[r, c] + b * mask[r, c + 1]) + a * (
                (1 - b) * mask[r + 1, c] + b * mask[r + 1, c + 1]
            )
    return share


@pytest.mark.parametrize(("scale", "shear"), [(1.0, 0.0), (0.6, 0.0), (1.2, 0.0), (1.0, 0.45), (0.8, -0.3)])
def test_geometry_and_ink_are_those_of_the_naive_rule(scale, shear):
    distortion = replace(STILL, scale=(scale, scale), shear=shear)
    image = draw(smooth_mask()[None], distortion)[0].astype(float)
    share = naive_share(smooth_mask(), scale, shear)[..., None]
    # Image = ground + share (ink - ground); least squares finds ground and ink.
    for channel in range(3):
        design = np.concatenate([1 - share, share], axis=-1).reshape(-1, 2)
        colors, *_ = np.linalg.lstsq(design, image[..., channel].ravel(), rcond=None)
        assert np.abs(design @ colors - image[..., channel].ravel()).max() < 1.5
        ground, ink = colors / 255
        assert -0.01 < ground < 0.13
        assert 0.74 < ink < 1.01


def test_shift_moves_the_picture_within_their_bounds():
    mask = torch.zeros(400, 48, 48)
    mask[:, 22:26, 22:26] = 1
    shifted = draw(mask, replace(STILL, shift=0.2))
    rows, columns = np.mgrid[0:32, 0:32]
    ink = np.where(shifted[..., 0] > 100, shifted[..., 0], 0).astype(float)
    centers = np.stack([(ink * axis).sum(axis=(1, 2)) / ink.sum(axis=(1, 2)) for axis in (rows, columns)])
    away = np.abs(centers - 15.5) / 32
    assert 0.17 < away.max() < 0.22
    assert (away.max(axis=1) > 0.17).all()


def test_noise_has_its_standard_deviation():
    gray = torch.full((200, 48, 48), 0.5)
    image = draw(gray, replace(STILL, noise=0.05))
    assert (image / 255).std(axis=(1, 2)).mean() == pytest.approx(0.05, rel=0.05)


def test_elastic_bends():
    masks = smooth_mask()[None].repeat(8, 1, 1)
    still, bent = (draw(masks, d) for d in (STILL, replace(STILL, elastic=0.1)))
    assert 3 < np.abs(still.astype(float) - bent).mean() < 60


def test_strokes_become_softer_and_change_their_weight():
    bar = torch.zeros(200, 48, 48)
    bar[:, :, 21:27] = 1
    still, varied = (draw(bar, replace(STILL, stroke=stroke))[:, 16, :, 0].astype(float) for stroke in (0, 1))
    shares = [(row - row[:, :1]) / (row[:, 15:16] - row[:, :1]) for row in (still, varied)]
    gray = [((share > 0.2) & (share < 0.8)).sum(axis=1) for share in shares]
    width = [share.sum(axis=1) for share in shares]
    assert gray[0].max() == 0 < gray[1].mean()
    assert np.ptp(width[0]) < 0.1 < 0.5 < np.ptp(width[1])


def test_rotation_turns_within_its_bounds():
    bar = torch.zeros(300, 48, 48)
    bar[:, 4:44, 22:26] = 1
    ink = draw(bar, replace(STILL, rotation=30))[..., 0].astype(float)
    ink = np.where(ink > 100, ink, 0)
    rows, columns = np.mgrid[0:32, 0:32] - 15.5
    # The principal axis of the ink against the vertical.
    covariance, heights, widths = ((ink * m).sum(axis=(1, 2)) for m in (rows * columns, rows**2, columns**2))
    angles = np.degrees(np.arctan2(2 * covariance, heights - widths) / 2)
    assert 27 < angles.max() < 31
    assert -31 < angles.min() < -27


def test_generator_decides_every_byte():
    masks = smooth_mask()[None].repeat(300, 1, 1)
    first, again, other = (draw(masks, Distortion(), seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_ink_has_its_color():
    full = torch.ones(1, 48, 48)
    red = draw(full, STILL, color=COLOR_NAMES.index("red"))[0, 16, 16].astype(int)
    assert red[0] > 180 > 100 > red[1] == red[2]


def test_half_of_the_pictures_are_white_and_no_color_is_missing():
    shares = np.bincount(draw_colors(16000, generator()), minlength=9) / 16000
    assert shares[0] == pytest.approx(0.5, abs=0.02)
    assert shares[1:] == pytest.approx(np.full(8, 1 / 16), abs=0.01)
