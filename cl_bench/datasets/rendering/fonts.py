"""The fonts that matplotlib ships, and which of them the pre-training may see.

A font is named by its file, so that matplotlib itself need not be imported before a picture is drawn.

Letters and digits look different in every font. DejaVu's slanted and bold variants repeat the upright shapes of
most signs, though: there "held out" is a name, and only what is done to a picture later makes it new.
"""

from functools import cache
from pathlib import Path

from PIL import ImageFont

from cl_bench.datasets.rendering.concepts import Group

_PRETRAINING = (
    "DejaVuSans", "DejaVuSans-Bold", "DejaVuSansMono", "DejaVuSerif", "STIXGeneral", "cmr10",
)  # fmt: skip
_HELD_OUT = (
    "DejaVuSans-Oblique", "DejaVuSans-BoldOblique", "DejaVuSansMono-Bold", "DejaVuSansMono-Oblique",
    "DejaVuSerif-Bold", "DejaVuSerif-Italic", "DejaVuSerif-BoldItalic",
    "STIXGeneralBol", "STIXGeneralItalic", "STIXGeneralBolIta",
    "cmb10", "cmss10", "cmti10", "cmtt10",
)  # fmt: skip
# These have every sign; Computer Modern has other signs at those code points, and no Greek.
_PRETRAINING_WITH_SIGNS = ("DejaVuSans", "DejaVuSans-Bold", "DejaVuSansMono")
_HELD_OUT_WITH_SIGNS = ("DejaVuSans-Oblique", "DejaVuSans-BoldOblique", "DejaVuSansMono-Bold")


def pretraining_fonts(group: Group) -> tuple[str, ...]:
    """The fonts in which the pre-training sees a group."""
    return _that_have(group, _PRETRAINING, _PRETRAINING_WITH_SIGNS)


def held_out_fonts(group: Group) -> tuple[str, ...]:
    """The fonts of a group that the pre-training never sees."""
    return _that_have(group, _HELD_OUT, _HELD_OUT_WITH_SIGNS)


@cache
def open_font(name: str, size: int) -> ImageFont.FreeTypeFont:
    """Opens one of matplotlib's fonts at `size` pixels per em."""
    import matplotlib

    path = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / f"{name}.ttf"
    return ImageFont.truetype(path, size, layout_engine=ImageFont.Layout.BASIC)


def _that_have(group: Group, fonts: tuple[str, ...], fonts_with_signs: tuple[str, ...]) -> tuple[str, ...]:
    if group in ("symbols", "games"):
        return fonts_with_signs
    if group == "greek":
        return tuple(font for font in fonts if not font.startswith("cm"))
    return fonts
