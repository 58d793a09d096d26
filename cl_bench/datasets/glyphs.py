"""Characters in fonts that the pre-training of `tiny_clip` left out, all of them sheared.

Strokes are as the fonts have them. The constant shear is what there is to learn: fifty images of a class
teach a constant shift, and would not teach a random distortion.
"""

from functools import cache
from typing import Literal

from cl_bench.datasets.rendering.captions import PROMPTS
from cl_bench.datasets.rendering.concepts import Concept, of_group
from cl_bench.datasets.rendering.drawing import Distortion
from cl_bench.datasets.rendering.fonts import held_out_fonts
from cl_bench.datasets.rendering.masks import draw_concept
from cl_bench.datasets.rendering.splits import PerClass, Seed, Shear, draw_split
from cl_bench.images.images import ImageDataset
from cl_bench.runtime import seeds

Alphabet = Literal["glyphs60", "digits", "capitals", "small_letters", "greek", "symbols", "games"]

# A small "l" is a capital "I" in many fonts, and a small "o" a smaller zero.
_LEFT_OUT_OF_GLYPHS60 = ("small letter l", "small letter o")


@cache
def load(
    alphabet: Alphabet = "glyphs60",
    train_per_class: PerClass = 50,
    test_per_class: PerClass = 15,
    shear: Shear = 0.45,
    seed: Seed = 0,
) -> ImageDataset:
    """Draws one alphabet.

    Args:
        alphabet: "glyphs60" (digits and letters, 60 classes in 14 fonts), or one group of concepts.
        train_per_class: Training images of each class, with the fonts in equal shares.
        test_per_class: Test images of each class: other draws in the same fonts.
        shear: How far all pictures lean to the right, as the tangent of the angle.
        seed: Of everything random.
    """
    concepts = _concepts(alphabet)
    shapes = [draw_concept(concept, held_out_fonts(concept.group)) for concept in concepts]
    train, test = (
        draw_split(shapes, per_class, Distortion(stroke=0, shear=shear), seeds.generator(seed, alphabet, split))
        for split, per_class in (("train", train_per_class), ("test", test_per_class))
    )
    return ImageDataset(alphabet, tuple(concept.names[0] for concept in concepts), PROMPTS, train, test)


def _concepts(alphabet: Alphabet) -> tuple[Concept, ...]:
    if alphabet != "glyphs60":
        return of_group(alphabet)
    latin = (*of_group("digits"), *of_group("capitals"), *of_group("small_letters"))
    return tuple(concept for concept in latin if concept.names[0] not in _LEFT_OUT_OF_GLYPHS60)
