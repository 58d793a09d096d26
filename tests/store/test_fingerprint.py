import copy
import hashlib
import math
from pathlib import Path

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from cl_bench.store import fingerprint

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
configs = st.dictionaries(st.text(), values, min_size=1, max_size=4)


def reordered(value: object) -> object:
    if isinstance(value, dict):
        return {key: reordered(item) for key, item in reversed(value.items())}
    return [reordered(item) for item in value] if isinstance(value, list) else value


@given(configs)
def test_order_of_keys_does_not_matter(config: dict[str, object]) -> None:
    assert fingerprint(config) == fingerprint(reordered(config))  # type: ignore[arg-type]
    assert len(fingerprint(config)) == 16 and int(fingerprint(config), 16) >= 0


@given(configs, values, st.data())
def test_every_value_matters(config: dict[str, object], value: object, data: st.DataObject) -> None:
    key = data.draw(st.sampled_from(sorted(config)))
    assume(repr(config[key]) != repr(value) and config[key] != value)
    assert fingerprint(config) != fingerprint(config | {key: value})


@given(configs)
def test_further_settings_matter(config: dict[str, object]) -> None:
    assume("new" not in config)
    assert fingerprint(config) != fingerprint(config | {"new": None})


def test_is_the_same_on_every_machine() -> None:
    canonical = b'{"name":"\\u03b8","optim":{"betas":[0.9,0.999],"lr":1e-05},"seed":5}'
    config = {"seed": 5, "optim": {"lr": 1e-5, "betas": [0.9, 0.999]}, "name": "θ"}
    assert fingerprint(config) == hashlib.sha256(canonical).hexdigest()[:16]


def test_order_of_lists_and_kind_of_numbers_matter() -> None:
    assert fingerprint({"a": [1, 2]}) != fingerprint({"a": [2, 1]})
    assert len({fingerprint({"a": value}) for value in (1, 1.0, True, "1", None, [1])}) == 6


@pytest.mark.parametrize(
    "foreign",
    [math.nan, math.inf, Path("x"), torch.zeros(1), {1: 2}, {1, 2}, b"x", object()],
    ids=lambda value: type(value).__name__,
)
def test_what_is_not_plain_is_refused_by_its_place(foreign: object) -> None:
    config = {"optim": {"betas": [0.9, foreign]}}
    with pytest.raises(ValueError, match=r"config\.optim\.betas\[1\]"):
        fingerprint(config)


def test_config_stays_as_it_is() -> None:
    config = {"b": [1, {"c": 2.0}], "a": None}
    before = copy.deepcopy(config)
    fingerprint(config)
    assert config == before and list(config) == ["b", "a"]
