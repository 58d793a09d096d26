"""The block of a network that a parameter belongs to, by its name."""

import re

_BLOCK = re.compile(r"(?:^|\.)(?:resblocks|blocks?|layers?|h)\.(\d+)\.")


def block_of(name: str) -> int | None:
    """The number of the block, from 0; None for parameters outside all blocks, such as embeddings and heads.

    It knows the names of open_clip (``transformer.resblocks.<i>.``), timm (``blocks.<i>.``) and Hugging Face
    (``layers.<i>.``, ``layer.<i>.``, ``block.<i>.``, ``h.<i>.``). For blocks within blocks, the outer one counts.
    """
    block = _BLOCK.search(name)
    return int(block[1]) if block else None
