"""Models in memory and in files, and everything that is no model."""

import json
import os
import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from cl_bench.mergers import MagMax, RunningMerge
from cl_bench.runtime.errors import UserError
from cl_bench.store.models import read_model, weights_of

TENSORS = {"a.weight": torch.arange(6.0).reshape(2, 3), "b": torch.tensor(2.0).bfloat16(), "steps": torch.tensor(3)}


def sharded(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    save_file({"a.weight": TENSORS["a.weight"]}, folder / "one.safetensors")
    save_file({"b": TENSORS["b"], "steps": TENSORS["steps"]}, folder / "two.safetensors")
    index = folder / "model.safetensors.index.json"
    files = {"a.weight": "one.safetensors", "b": "two.safetensors", "steps": "two.safetensors"}
    index.write_text(json.dumps({"metadata": {}, "weight_map": files}))
    return index


def safetensors(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    save_file(TENSORS, folder / "model.safetensors")
    return folder / "model.safetensors"


def pytorch(folder: Path, content: object = TENSORS, **options: bool) -> Path:
    torch.save(content, folder / "model.pt", **options)
    return folder / "model.pt"


WRITERS = {
    "safetensors": safetensors,
    "folder of one file": lambda folder: safetensors(folder / "model").parent,
    "index": sharded,
    "folder of several files": lambda folder: sharded(folder / "model").parent,
    "pytorch": pytorch,
    "pytorch before 1.6": lambda folder: pytorch(folder, _use_new_zipfile_serialization=False),
    "under state_dict": lambda folder: pytorch(folder, {"state_dict": TENSORS, "epoch": 3}),
}


@pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)
def test_every_kind_of_file_gives_the_same_tensors(write, tmp_path: Path) -> None:
    read = read_model(write(tmp_path))
    assert read.keys() == TENSORS.keys()
    for name, tensor in TENSORS.items():
        assert read[name].dtype == tensor.dtype and torch.equal(read[name], tensor)


class _RunsCode:
    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.trace),)


def test_no_file_can_run_code(tmp_path: Path) -> None:
    path = pytorch(tmp_path, {"a": _RunsCode(tmp_path / "trace")})
    with pytest.raises(UserError, match=r"model\.pt cannot be read as a PyTorch file of tensors alone"):
        read_model(path)
    assert not (tmp_path / "trace").exists()


DAMAGED = {
    "absent.pt": (None, "There is no model"),
    "empty.pt": (b"", "cannot be read as a PyTorch file"),
    "text.pt": (b"abc", "cannot be read as a PyTorch file"),
    "number.pt": (pickle.dumps(3, protocol=2), "cannot be read as a PyTorch file"),
    "short.safetensors": (b"abc", "cannot be read as safetensors"),
    "list.safetensors.index.json": (b"[]", "is no index"),
    "text.safetensors.index.json": (b"abc", "is no index"),
    "numbers.safetensors.index.json": (b'{"weight_map": {"a": 1}}', "is no index"),
    "lost.safetensors.index.json": (b'{"weight_map": {"a": "x.safetensors"}}', "names files that are not there"),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_what_is_no_model_is_named(name: str, tmp_path: Path) -> None:
    content, message = DAMAGED[name]
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=message) as raised:
        read_model(tmp_path / name)
    assert name in str(raised.value)


def test_half_a_file_and_wrong_contents_are_refused(tmp_path: Path) -> None:
    whole = safetensors(tmp_path)
    whole.write_bytes(whole.read_bytes()[:-1])
    with pytest.raises(UserError, match="cannot be read as safetensors"):
        read_model(whole)
    for content in ([TENSORS], {"model": TENSORS}, torch.ones(1)):
        with pytest.raises(UserError, match="holds something else"):
            read_model(pytorch(tmp_path, content))
    index = sharded(tmp_path)
    index.write_text('{"weight_map": {"c": "one.safetensors"}}')
    with pytest.raises(UserError, match=r"'c' is in one\.safetensors, where it is not"):
        read_model(index)


def test_a_folder_must_hold_one_model(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no safetensors file"):
        read_model(tmp_path)
    save_file(TENSORS, tmp_path / "x.safetensors")
    save_file(TENSORS, tmp_path / "y.safetensors")
    with pytest.raises(UserError, match=r"several models \(x\.safetensors, y\.safetensors\)"):
        read_model(tmp_path)


def test_tensors_are_mapped(tmp_path: Path) -> None:
    big = {"w": torch.zeros(2**24)}
    save_file(big, tmp_path / "big.safetensors")
    torch.save(big, tmp_path / "big.pt")
    for name in ("big.safetensors", "big.pt"):
        before = _anonymous_kib()
        read = read_model(tmp_path / name)
        assert float(read["w"].sum()) == 0 and _anonymous_kib() - before < 2**14  # of 2**16


def _anonymous_kib() -> int:
    return int(Path("/proc/self/status").read_text().split("RssAnon:")[1].split()[0])


def test_mergers_take_mappings_modules_and_paths(tmp_path: Path) -> None:
    models = [nn.Linear(3, 2) for _ in range(3)]
    tensors = [model.state_dict() for model in models]
    for number, own in enumerate(tensors):
        save_file(own, tmp_path / f"{number}.safetensors")
    paths = [tmp_path / f"{number}.safetensors" for number in range(3)]
    expected = MagMax().merge(tensors[0], tensors[1:])
    running = RunningMerge(MagMax(), models[0])
    running.add(str(paths[1]))
    running.add(models[2])
    for merged in (
        MagMax().merge(models[0], models[1:]),
        MagMax().merge(paths[0], [str(path) for path in paths[1:]]),
        MagMax().merge(paths[0], (path for path in paths[1:])),
        running.merged(),
    ):
        assert all(torch.equal(merged[name], tensor) for name, tensor in expected.items())
    assert weights_of(tensors[0]) is tensors[0]
