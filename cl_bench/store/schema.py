"""The schema of a store: streams and heads of another schema are not used."""

import logging
import shlex
from pathlib import Path

log = logging.getLogger(__name__)

SCHEMA = 3
"""Part of every stream's fingerprint; rises when the fingerprint has to cover more.

2: images count by their contents, backbones and heads by everything that the model is made of. Before, changed images
could be matched with weights that were trained on others.

3: code counts, too: the user's own classes by their source, the project's by their version. Before, an edited trainer
was matched with the weights that it had learned before.
"""


def open_store(folder: Path) -> None:
    """Marks a store as one of this schema; the first time, logs what an earlier version has left in it.

    Args:
        folder: The store, `paths.store_dir`. If it cannot be written, it is not marked.
    """
    mark = folder / f"schema_{SCHEMA}"
    if mark.exists():
        return
    left = [path for path in (folder / "streams", folder / "heads") if path.is_dir() and any(path.iterdir())]
    try:
        mark.touch(exist_ok=False)
    except FileExistsError:  # another run was faster, and logs it
        return
    except OSError:
        remedy = ""
    else:
        remedy = f": find {shlex.join(map(str, left))} -mindepth 1 -maxdepth 1 ! -newer {shlex.quote(str(mark))}"
        remedy += " -exec rm -r {} +"
    if left:
        log.info(
            "the streams and heads in %s are of an earlier schema, which knew too little of images, models and code: "
            "they are not used again and may be deleted%s",
            *(folder, remedy),
        )
