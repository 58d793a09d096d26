"""Which block of a network a parameter belongs to, as its name says."""

import re

_BLOCK = re.compile(r"(?:^|\.)(?:resblocks|blocks?|layers?|h)\.(\d+)\.")


def block_of(name: str) -> int | None:
    """The number of the block, from 0; None for what is in none, as embeddings and heads.

    Known are the names of open_clip (``transformer.resblocks.<i>.``), timm (``blocks.<i>.``) and Hugging Face
    (``layers.<i>.``, ``layer.<i>.``, ``block.<i>.``, ``h.<i>.``). Of blocks within blocks the outer one counts.
    """
    block = _BLOCK.search(name)
    return int(block[1]) if block else None
