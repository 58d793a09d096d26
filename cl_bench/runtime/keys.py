"""Names within a mapping on the command line, as `{digit 0\\, digit 1: 0.3}`, in which Hydra knows no quotes."""

import re

_PLAIN = r"-\w /.+$%*@?|"
_ESCAPED = r"\\()\[\]{}:=,"


def typed_key(name: str) -> str | None:
    """The name as it is typed there, with a backslash before signs that have a meaning; None where it cannot be."""
    if not re.fullmatch(f"[{_PLAIN}{_ESCAPED}]+", name, flags=re.ASCII):
        return None
    return re.sub(f"([{_ESCAPED}])", r"\\\1", name)
