import numpy as np
import pytest

from cl_bench.datasets.rendering.concepts import CONCEPTS, GROUPS, LETTERS, Concept
from cl_bench.datasets.rendering.fonts import held_out_fonts, pretraining_fonts
from cl_bench.datasets.rendering.masks import draw_character, draw_concept, outline

NOT_A_CHARACTER = "\U0010fffe"


def test_fonts_are_disjoint():
    for group in GROUPS:
        assert not set(pretraining_fonts(group)) & set(held_out_fonts(group))
    assert (len(pretraining_fonts("digits")), len(held_out_fonts("digits"))) == (6, 14)


def test_letters_look_different_in_held_out_fonts():
    for concept in CONCEPTS:
        if concept.group in LETTERS:
            seen, held_out = (
                {mask.tobytes() for mask in draw_concept(concept, fonts(concept.group)).numpy()}
                for fonts in (pretraining_fonts, held_out_fonts)
            )
            assert not seen & held_out, concept


@pytest.mark.parametrize("fonts", [pretraining_fonts, held_out_fonts])
def test_every_font_has_every_character(fonts):
    """A font without a character draws its replacement box, the same as for what is no character at all."""
    for font in fonts("digits"):
        try:
            replacement = draw_character(NOT_A_CHARACTER, font).tobytes()
        except ValueError:
            continue  # blank, which `draw_concept` refuses by itself
        for concept in CONCEPTS:
            if concept.character and font in fonts(concept.group):
                assert draw_concept(concept, (font,)).numpy().tobytes() != replacement, (concept, font)


@pytest.mark.parametrize("fonts", [pretraining_fonts, held_out_fonts])
def test_nothing_but_a_wide_w_is_cut_off(fonts):
    for concept in CONCEPTS:
        for mask in draw_concept(concept, fonts(concept.group)).numpy() if concept.character else ():
            assert mask.shape == (48, 48)
            assert mask.min() == 0
            assert 0.95 < mask.max() <= 1
            rim = np.concatenate([mask[0], mask[-1], mask[:, 0], mask[:, -1]])
            assert rim.max() < 0.2 or concept.character == "W", concept


def height(mask):
    rows = np.flatnonzero(mask.max(axis=1) > 0.5)
    return rows[0], rows[-1]


def test_letters_keep_size_and_line():
    capital, small, hanging = (height(draw_character(c, "DejaVuSans")) for c in "Xxy")
    assert abs(capital[1] - small[1]) <= 1 < 5 < small[0] - capital[0]
    assert hanging[1] - small[1] > 4


def test_signs_are_centered_and_fit():
    for concept in CONCEPTS:
        if concept.group in ("symbols", "games"):
            mask = draw_concept(concept, ("DejaVuSans",))[0].numpy()
            for axis in (0, 1):
                ink = np.flatnonzero(mask.max(axis=axis) > 0.5)
                assert abs((ink[0] + ink[-1]) / 2 - 23.5) <= 1.5, concept
                assert ink[-1] - ink[0] <= 42, concept


def test_a_font_that_draws_nothing():
    with pytest.raises(ValueError, match="DejaVuSans draws nothing for ' '"):
        draw_concept(Concept("symbols", ("blank",), " "), ("DejaVuSans",))


def test_outline_is_the_rim():
    square = np.zeros((48, 48), np.float32)
    square[10:30, 10:30] = 1
    expected = np.zeros_like(square)
    expected[9:31, 9:31] = 1
    expected[11:29, 11:29] = 0
    np.testing.assert_array_equal(outline(square), expected)
