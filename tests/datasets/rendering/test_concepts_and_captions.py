from collections import Counter

import torch

from cl_bench.datasets.rendering.captions import COLOR_NAMES, PROMPTS, draw_caption
from cl_bench.datasets.rendering.concepts import CONCEPTS, Concept, of_group


def test_165_concepts_with_names_of_their_own():
    names = [name for concept in CONCEPTS for name in concept.names]
    assert len(CONCEPTS) == 165
    assert len(set(names)) == len(names)
    assert all(name == name.lower() for name in names)


def test_groups():
    sizes = Counter(concept.group for concept in CONCEPTS)
    assert sizes == {
        "digits": 10, "capitals": 26, "small_letters": 26, "greek": 29, "symbols": 42, "games": 22,
        "textures": 10,
    }  # fmt: skip
    assert [concept.character for concept in of_group("digits")] == list("0123456789")
    characters = [concept.character for concept in CONCEPTS if concept.group != "textures"]
    assert len(set(characters)) == len(characters)


def test_captions_are_templates_around_a_phrase():
    concept = Concept("digits", ("digit 7", "seven"), "7")
    phrases = {form.format(name) for name in concept.names for form in ("{}", "red {}", "{} in red on black")}
    allowed = {prompt.format(phrase) for prompt in PROMPTS for phrase in phrases}
    generator = torch.Generator().manual_seed(0)
    drawn = {draw_caption(concept, "red", generator) for _ in range(2000)}
    assert len(PROMPTS) == 12
    assert drawn == allowed


def test_white_is_the_first_color():
    assert COLOR_NAMES[0] == "white"
    assert len(COLOR_NAMES) == 9
