import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cl_bench.store.plain import text_keys, to_plain

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(PLAIN)
def test_what_is_plain_can_be_written_and_read(value: Any) -> None:
    plain = to_plain(value, "value", "refuse")
    assert json.loads(json.dumps(plain, allow_nan=False, ensure_ascii=False).encode()) == value


@pytest.mark.parametrize("value", ["caf\udce9", {"caf\udce9": 1}, ["a", {"b": "\ud800"}]])
def test_text_that_cannot_be_encoded_is_refused_by_its_place(value: Any) -> None:
    with pytest.raises(ValueError, match=r"record.* is '.*\\ud[8c].*', which is no text that can be written"):
        to_plain(value, "record", "null")


def test_keys_of_any_type_become_text() -> None:
    given = {0: "zero", "names": [{1.5: {True: None}}], "deep": {2: [3]}}
    assert text_keys(given) == {"0": "zero", "names": [{"1.5": {"True": None}}], "deep": {"2": [3]}}
