"""The 165 concepts that can be drawn, and their names.

The tokenizer lower-cases, so the case of a letter is part of its name. The first name is the class name, the
others are synonyms that captions use as well.
"""

import string
from dataclasses import dataclass
from typing import Literal, get_args

Group = Literal["digits", "capitals", "small_letters", "greek", "symbols", "games", "textures"]
GROUPS: tuple[Group, ...] = get_args(Group)
LETTERS: tuple[Group, ...] = ("digits", "capitals", "small_letters", "greek")  # which every font draws its own way

_DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_GREEK_CAPITALS = {
    "Γ": "gamma", "Δ": "delta", "Θ": "theta", "Λ": "lambda", "Ξ": "xi",
    "Π": "pi", "Σ": "sigma", "Φ": "phi", "Ψ": "psi", "Ω": "omega",
}  # fmt: skip
_GREEK_SMALL = {
    "α": "alpha", "β": "beta", "γ": "gamma", "δ": "delta", "ε": "epsilon", "ζ": "zeta", "η": "eta",
    "θ": "theta", "λ": "lambda", "μ": "mu", "ξ": "xi", "π": "pi", "ρ": "rho", "σ": "sigma", "τ": "tau",
    "φ": "phi", "χ": "chi", "ψ": "psi", "ω": "omega",
}  # fmt: skip
_SYMBOLS = {
    "←": "left arrow", "→": "right arrow", "↑": "up arrow", "↓": "down arrow",
    "+": "plus sign", "×": "times sign", "÷": "division sign", "±": "plus minus sign",
    "=": "equals sign", "≠": "not equal sign", "<": "less than sign", ">": "greater than sign",
    "∞": "infinity sign", "∫": "integral sign", "√": "square root", "∀": "for all sign",
    "∃": "exists sign", "∅": "empty set", "∇": "nabla", "∴": "therefore sign",
    "$": "dollar sign", "&": "ampersand", "@": "at sign", "#": "hash sign", "?": "question mark",
    "★": "star", "❄": "snowflake", "☀": "sun", "☁": "cloud", "☂": "umbrella", "☎": "telephone",
    "✓": "check mark", "✂": "scissors", "✈": "airplane", "✉": "envelope", "☠": "skull",
    "☢": "radiation sign", "☯": "yin yang", "⚓": "anchor", "☺": "smiling face", "♫": "music notes",
    "☾": "moon",
}  # fmt: skip
_GAMES = {
    "♚": "chess king", "♛": "chess queen", "♜": "chess rook", "♝": "chess bishop", "♞": "chess knight",
    "♟": "chess pawn", "♔": "hollow chess king", "♕": "hollow chess queen", "♖": "hollow chess rook",
    "♗": "hollow chess bishop", "♘": "hollow chess knight", "♙": "hollow chess pawn",
    "♠": "suit of spades", "♥": "suit of hearts", "♦": "suit of diamonds", "♣": "suit of clubs",
    "⚀": "dice one", "⚁": "dice two", "⚂": "dice three", "⚃": "dice four", "⚄": "dice five", "⚅": "dice six",
}  # fmt: skip
_TEXTURES = (
    "horizontal stripes", "vertical stripes", "diagonal stripes", "checkerboard", "dots",
    "grid", "rings", "waves", "bricks", "noise",
)  # fmt: skip


@dataclass(frozen=True)
class Concept:
    """Something that can be drawn.

    Attributes:
        group: The alphabet it belongs to.
        names: The class name, then its synonyms.
        character: The Unicode character; empty for a texture.
    """

    group: Group
    names: tuple[str, ...]
    character: str = ""


def _all_concepts() -> tuple[Concept, ...]:
    digits = [Concept("digits", (f"digit {i}", f"number {i}", word), str(i)) for i, word in enumerate(_DIGITS)]
    capitals = [
        Concept("capitals", (f"capital letter {c.lower()}", f"capital {c.lower()}"), c) for c in string.ascii_uppercase
    ]
    small = [Concept("small_letters", (f"small letter {c}", f"small {c}"), c) for c in string.ascii_lowercase]
    greek = [
        Concept("greek", (f"{case} greek letter {name}", f"{case} {name}"), character)
        for case, letters in (("capital", _GREEK_CAPITALS), ("small", _GREEK_SMALL))
        for character, name in letters.items()
    ]
    symbols = [Concept("symbols", (name,), character) for character, name in _SYMBOLS.items()]
    games = [Concept("games", (name,), character) for character, name in _GAMES.items()]
    textures = [Concept("textures", (name, f"{name} texture")) for name in _TEXTURES]
    return (*digits, *capitals, *small, *greek, *symbols, *games, *textures)


CONCEPTS = _all_concepts()


def of_group(group: Group) -> tuple[Concept, ...]:
    """The concepts of one group, in their order."""
    return tuple(concept for concept in CONCEPTS if concept.group == group)
