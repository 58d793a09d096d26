"""Expands `~` where the shell does not: in `paths.data_dir=~/data` and `[~/a.pt,~/b.pt]`."""

import os
import re
from pathlib import Path

_IN_A_VALUE = re.compile(r"""(?<=[=\[,:\s"'])~[\w.-]*(?=/)""")


def path(text: str) -> Path:
    """A path from the command line; a type for argparse."""
    return Path(text).expanduser()


def expanded(override: str) -> str:
    """A setting from the command line with `~/` in its value replaced by the home folder, which Hydra would refuse.

    A `~` at the beginning is Hydra's: it removes a setting.
    """
    return _IN_A_VALUE.sub(lambda found: os.path.expanduser(found.group()), override)
