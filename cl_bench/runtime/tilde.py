"""`~`, where the shell leaves it: it expands `~/data`, but not `paths.data_dir=~/data` or `[~/a.pt,~/b.pt]`."""

import os
import re
from pathlib import Path

_IN_A_VALUE = re.compile(r"""(?<=[=\[,:\s"'])~[\w.-]*(?=/)""")


def path(text: str) -> Path:
    """A path of the command line; for argparse."""
    return Path(text).expanduser()


def expanded(override: str) -> str:
    """A setting of the command line, with the home folder for `~/` in its value, for which Hydra has no grammar.

    A `~` at the beginning is Hydra's: it takes a setting away.
    """
    return _IN_A_VALUE.sub(lambda found: os.path.expanduser(found.group()), override)
