import numpy as np
import pytest

from cl_bench.datasets import glyph_domains
from cl_bench.testing import check_dataset

DATA = glyph_domains.load()


def of_domain(split, name):
    return split.pixels[split.domains == DATA.domain_names.index(name)]


def test_six_domains_with_all_letters_equally_often():
    assert DATA.domain_names == ("script", "double-struck", "circled", "outline", "sheared", "small")
    for split, per_class in ((DATA.train, 25), (DATA.test, 8)):
        table = np.zeros((6, 26), int)
        np.add.at(table, (split.domains, split.labels), 1)
        assert (table == per_class).all()


def test_seed_decides_every_byte():
    first, again, other = (glyph_domains.load.__wrapped__(2, 2, seed) for seed in (0, 0, 1))
    assert first.identity == again.identity
    check_dataset(lambda: glyph_domains.load.__wrapped__(2, 2))
    assert not np.array_equal(first.train.pixels, other.train.pixels)


def test_train_and_test_share_no_image():
    assert not {p.tobytes() for p in DATA.train.pixels} & {p.tobytes() for p in DATA.test.pixels}


def ink_share(pixels):
    return (pixels.max(axis=-1) > 100).mean()


def test_small_letters_have_the_least_ink():
    shares = {name: ink_share(of_domain(DATA.train, name)) for name in DATA.domain_names}
    assert min(shares, key=shares.get) == "small"
    assert shares["small"] < 0.5 * shares["sheared"]


def test_outlines_are_hollow():
    """The middle of a bold capital I's stem holds no ink in an outline, and ink in a plain letter."""
    shapes = {name: glyph_domains._shapes(name)[string_index("I")] for name in ("outline", "sheared")}
    bold = 1  # DejaVu Sans Bold Oblique is the second of the held-out fonts
    outline, plain = (shapes[name][bold].numpy() for name in ("outline", "sheared"))
    row = plain.shape[0] // 2
    middle = int(np.flatnonzero(plain[row] > 0.9).mean())
    assert plain[row, middle] > 0.9
    assert outline[row, middle] < 0.1
    assert outline[row].max() > 0.9


def string_index(letter):
    return ord(letter) - ord("A")


@pytest.mark.parametrize("domain", DATA.domain_names)
def test_letters_of_a_domain_differ_from_each_other(domain):
    masks = [shapes[0].numpy().tobytes() for shapes in glyph_domains._shapes(domain)]
    assert len(set(masks)) == 26
