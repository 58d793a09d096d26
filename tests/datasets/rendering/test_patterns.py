import numpy as np
import pytest

from cl_bench.datasets.rendering.concepts import of_group
from cl_bench.datasets.rendering.patterns import draw_texture, draw_textures

NAMES = [concept.names[0] for concept in of_group("textures")]


@pytest.mark.parametrize("name", NAMES)
def test_textures_are_black_and_white_and_never_the_same(name):
    masks = draw_textures(name, 20, np.random.default_rng(0)).numpy()
    assert masks.shape == (20, 48, 48)
    assert set(np.unique(masks)) == {0, 1}
    assert (masks.mean(axis=(1, 2)) > 0.03).all() and (masks.mean(axis=(1, 2)) < 0.9).all()
    assert len({mask.tobytes() for mask in masks}) == 20


@pytest.mark.parametrize("name", NAMES)
def test_generator_decides(name):
    first, again, other = (draw_textures(name, 2, np.random.default_rng(seed)) for seed in (0, 0, 1))
    assert first.equal(again)
    assert not first.equal(other)


def test_stripes_run_along_their_direction():
    generator = np.random.default_rng(0)
    horizontal, vertical, diagonal = (
        draw_texture(f"{way} stripes", generator) for way in ("horizontal", "vertical", "diagonal")
    )
    assert (horizontal == horizontal[:, :1]).all()
    assert (vertical == vertical[:1]).all()
    assert (diagonal[1:, :-1] == diagonal[:-1, 1:]).mean() > 0.98
