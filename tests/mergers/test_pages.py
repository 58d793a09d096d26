"""Mapping pages ahead changes no value, whatever the tensor is."""

import torch
from safetensors.torch import load_file, save_file

from cl_bench.mergers.pages import map_pages


def test_values_stay_as_they_are(tmp_path):
    path = tmp_path / "model.safetensors"
    values = {"odd": torch.randn(3, 7777), "empty": torch.empty(0), "scalar": torch.tensor(2.0)}
    save_file(values, path)
    for tensors in (load_file(path), {name: tensor.clone() for name, tensor in values.items()}):
        for name, tensor in tensors.items():
            for part in (tensor, tensor.view(-1)[1:], tensor.expand(3, *tensor.shape)):
                map_pages(part)
                map_pages(part, to_write=True)
            assert torch.equal(tensor, values[name])
    assert all(torch.equal(tensor, values[name]) for name, tensor in load_file(path).items())
    map_pages(torch.empty(4, device="meta"))


def test_a_files_pages_are_there_afterwards(tmp_path):
    path = tmp_path / "model.safetensors"
    save_file({"weight": torch.randn(2**20)}, path)
    weight = load_file(path)["weight"]
    before = _mapped_of_files()
    map_pages(weight)
    assert _mapped_of_files() - before >= 3500  # of 4 MiB, in KiB


def _mapped_of_files():
    with open("/proc/self/status") as status:
        return int(status.read().split("RssFile:")[1].split()[0])
