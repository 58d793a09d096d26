"""Names in a mapping on the command line, against Hydra's own parser."""

import string

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from hypothesis import given, settings
from hypothesis import strategies as st

from cl_bench.runtime.keys import typed_key


def read(key: str) -> list[str]:
    return [str(name) for name in OverridesParser.create().parse_override(f"a={{{key}: 1}}").value()]


@settings(max_examples=200, deadline=None)
@given(st.text(string.ascii_letters + " /.+$%*@?|-_\\()[]{}:=,", max_size=9))
def test_what_is_typed_is_read_as_the_name(inner: str) -> None:
    name = f"x{inner}x"
    typed = typed_key(name)
    assert typed is not None and read(typed) == [name]


@pytest.mark.parametrize("name", ["", "Käfer", "driver's", 'the "one"', "a#b", "a;b", "a!b", "a\nb"])
def test_what_hydra_cannot_read_is_not_typed(name: str) -> None:
    assert typed_key(name) is None
    with pytest.raises(HydraException):
        read(name)
