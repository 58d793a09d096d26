"""The same weights as other libraries write them; nothing in their files is run."""

import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from cl_bench.backbones import OpenClip
from cl_bench.mergers import TSV, MagMax
from cl_bench.runtime.errors import UserError
from cl_bench.store.layouts import clip
from cl_bench.store.layouts.alike import Models
from cl_bench.store.models import read_model
from tests.store import clip_files as files

MODEL = files.model()
TOWER = {name.removeprefix("visual."): t for name, t in MODEL.items() if name.startswith("visual.")}

WHOLE: dict[str, Callable[[Path], Path]] = {
    "openai": lambda folder: files.torchscript(folder / "ViT.pt", MODEL),
    "hugging face": lambda folder: files.safetensors(folder / "model.safetensors", files.hugging_face(MODEL)),
    "hugging face without a prefix": lambda f: files.safetensors(f / "m.safetensors", files.hugging_face(MODEL, "")),
    "hugging face in shards": lambda folder: files.sharded(folder / "m", files.hugging_face(MODEL)),
    "a folder of shards": lambda folder: files.sharded(folder / "m", files.hugging_face(MODEL)).parent,
    "open_clip in shards": lambda folder: files.sharded(folder / "m", MODEL),
    "open_clip": lambda folder: files.safetensors(folder / "model.safetensors", MODEL),
    "under a prefix": lambda folder: files.safetensors(
        folder / "model.safetensors", {f"net.{name}": tensor for name, tensor in MODEL.items()}
    ),
}


def same(found: dict[str, Tensor], expected: dict[str, Tensor]) -> bool:
    return found.keys() == expected.keys() and all(torch.equal(found[name], t) for name, t in expected.items())


@pytest.mark.parametrize("write", WHOLE.values(), ids=WHOLE)
def test_a_whole_clip_becomes_a_backbone(write, tmp_path, monkeypatch):
    files.register(tmp_path, monkeypatch)
    path = write(tmp_path)
    assert same(clip.to_open_clip(read_model(path)), MODEL)
    backbone = OpenClip("small-quickgelu", str(path))
    assert same(dict(backbone.encoder.state_dict()), TOWER)
    assert backbone.encode_text(["a dog"]).shape == (1, 12)


@pytest.mark.parametrize("projection", [False, True])
def test_an_image_tower_alone_is_no_backbone(projection, tmp_path, monkeypatch):
    files.register(tmp_path, monkeypatch)
    for tensors in (files.vision_alone(files.hugging_face(MODEL), projection), TOWER):
        path = files.safetensors(tmp_path / "vision.safetensors", tensors)
        with pytest.raises(UserError, match=r"vision\.safetensors is an image tower alone.*Name the file of the whole"):
            OpenClip("small-quickgelu", str(path))


def test_another_activation_than_the_files_is_refused(tmp_path, monkeypatch):
    files.register(tmp_path, monkeypatch)
    with pytest.raises(UserError, match=r"another activation than .*ViT\.pt was .*backbone\.model=small-quickgelu"):
        OpenClip("small", str(WHOLE["openai"](tmp_path)))
    folder = WHOLE["a folder of shards"](tmp_path)
    (folder / "config.json").write_text('{"vision_config": {"hidden_act": "gelu"}}')
    with pytest.raises(UserError, match=r"use backbone\.model=small\."):
        OpenClip("small-quickgelu", str(folder))
    OpenClip("small", str(folder))


def test_a_damaged_or_foreign_tensor_is_named(tmp_path, monkeypatch):
    files.register(tmp_path, monkeypatch)
    tensors = files.hugging_face(MODEL)
    del tensors["vision_model.encoder.layers.1.self_attn.k_proj.bias"]
    lost = files.safetensors(tmp_path / "lost.safetensors", tensors)
    with pytest.raises(UserError, match=r"visual\.transformer\.resblocks\.1\.attn\.in_proj_bias.*missing"):
        OpenClip("small-quickgelu", str(lost))
    foreign = files.safetensors(tmp_path / "foreign.safetensors", files.hugging_face(MODEL) | {"extra": torch.ones(1)})
    with pytest.raises(UserError, match=r"'vision_model\.extra' is no tensor of Hugging Face's CLIP"):
        OpenClip("small-quickgelu", str(foreign))
    archive = WHOLE["openai"](tmp_path)
    archive.write_bytes(archive.read_bytes()[:-3000])
    with pytest.raises(UserError, match=r"ViT\.pt"):
        read_model(archive)


def test_an_archive_gives_its_state_and_nothing_else(tmp_path):
    path = files.torchscript(tmp_path / "module.pt", {"visual.a": torch.randn(3, 4).T, "b": torch.ones(2)}, False)
    expected = torch.jit.load(path).state_dict()
    assert same(read_model(path), dict(expected)) and set(expected) == {"visual.a", "b"}


CHANGES = {
    "with a projection": lambda state: files.vision_alone(files.hugging_face(state), projection=True),
    "without one": lambda state: files.vision_alone(files.hugging_face(state)),
    "without a prefix": lambda state: files.vision_alone(files.hugging_face(state, "")),
    "with positions": lambda state: (
        files.vision_alone(files.hugging_face(state))
        | {"vision_model.embeddings.position_ids": torch.arange(5).reshape(1, 5)}
    ),
    "whole": files.hugging_face,
    "of open_clip": lambda state: state,
    "of open_clip without text": lambda state: {n: t for n, t in state.items() if n.startswith("visual.")},
    "a tower of open_clip": lambda state: {n[7:]: t for n, t in state.items() if n.startswith("visual.")},
}


def write(folder: Path, name: str, tensors: dict[str, Tensor]) -> Path:
    return files.safetensors(folder / f"{name}.safetensors", tensors)


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_models_of_any_layout_merge_into_one_of_open_clips(change, tmp_path):
    tuned = [files.model(seed) for seed in (1, 2)]
    paths = [write(tmp_path, str(i), change(state)) for i, state in enumerate(tuned)]
    models = Models(write(tmp_path, "base", MODEL), paths)
    there = clip.to_open_clip(change(MODEL)).keys()
    parts = {name: t for name, t in MODEL.items() if name in there}
    merger = TSV()  # which would see a difference between q, k and v in one matrix and in three
    expected = merger.merge(parts, [{name: state[name] for name in parts} for state in tuned])
    merged = models.whole(merger.merge(models.pretrained, models.finetuned))
    assert same(merged, MODEL | expected)
    assert models.kept_elements == sum(t.numel() for name, t in MODEL.items() if name not in there)


@pytest.mark.parametrize("start", ["without one", "without a prefix", "with positions", "with a projection", "whole"])
def test_models_of_open_clip_merge_into_one_of_hugging_faces(start, tmp_path):
    base, tuned = CHANGES[start](MODEL), [files.model(seed) for seed in (1, 2)]
    change = CHANGES["of open_clip" if start == "whole" else "a tower of open_clip"]
    models = [change(state) for state in tuned]
    if start not in ("whole", "with a projection"):
        models = [{name: t for name, t in state.items() if name != "proj"} for state in models]
    read = Models(write(tmp_path, "base", base), [write(tmp_path, str(i), state) for i, state in enumerate(models)])
    expected = MagMax().merge(base, [CHANGES[start](state) for state in tuned])
    assert same(read.whole(MagMax().merge(read.pretrained, read.finetuned)), expected)


def test_what_some_lack_is_theta_0s_and_what_the_start_lacks_is_refused(tmp_path):
    base = write(tmp_path, "base", TOWER)
    paths = [write(tmp_path, n, CHANGES[n](files.model(1))) for n in ("without one", "with a projection")]
    models = Models(base, paths)
    assert not models.kept and torch.equal(models.finetuned[0]["proj"], TOWER["proj"])
    whole = Models(base, [write(tmp_path, "whole", files.hugging_face(MODEL))])
    with pytest.raises(ValueError, match=r"has the unknown 'ln_final\.bias'"):
        MagMax().merge(whole.pretrained, whole.finetuned)
    lost = {name: t for name, t in files.hugging_face(MODEL).items() if name != "text_model.final_layer_norm.bias"}
    half = Models(write(tmp_path, "all", MODEL), [write(tmp_path, "lost", lost)])
    with pytest.raises(ValueError, match=r"lacks 'ln_final\.bias'"):
        MagMax().merge(half.pretrained, half.finetuned)


def test_models_of_one_layout_are_left_as_they_are(tmp_path):
    for number, tensors in enumerate((files.hugging_face(MODEL), MODEL, {"w": torch.ones(2)})):
        assert clip.like(tensors, dict(tensors)) is tensors
        paths = [write(tmp_path, f"{number}_{i}", tensors) for i in range(2)]
        models = Models(*paths[:1], paths[1:])
        assert not models.kept and same(models.finetuned[0], tensors)


class _RunsCode:
    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.trace),)


def in_an_archive(folder: Path, content: bytes) -> Path:
    """An archive whose list of attributes is another pickle."""
    written = files.torchscript(folder / "written.pt", {"visual.a": torch.ones(2), "b": torch.ones(2)})
    with zipfile.ZipFile(written) as source, zipfile.ZipFile(folder / "hostile.pt", "w") as target:
        for entry in source.infolist():
            data = content if entry.filename.endswith("/data.pkl") else source.read(entry)
            target.writestr(entry.filename, data)
    return folder / "hostile.pt"


def alone(folder: Path, content: object) -> Path:
    torch.save({"w": content}, folder / "hostile.bin")
    return folder / "hostile.bin"


def in_a_shard(folder: Path, content: object) -> Path:
    index = files.sharded(folder / "shards", {"a": torch.ones(1), "b": torch.ones(1)})
    torch.save({"b": content}, index.parent / "two.bin")
    return index


def test_nothing_that_lies_in_a_file_is_run(tmp_path):
    trace = tmp_path / "trace"
    runs = _RunsCode(trace)
    for path in (
        alone(tmp_path, runs),
        in_a_shard(tmp_path, runs),
        in_an_archive(tmp_path, pickle.dumps(runs, protocol=2)),
        in_an_archive(tmp_path, pickle.dumps({"visual": runs}, protocol=2)),
    ):
        with pytest.raises(UserError, match=path.name if path.suffix != ".json" else r"two\.bin"):
            read_model(path)
        assert not trace.exists()
    pickle.loads(pickle.dumps(runs))  # it would have
    assert trace.exists()


@pytest.mark.parametrize(
    "content",
    [
        b"ctorch\nload\n.",
        b"c__torch__\nNode\n)\x81c__torch__\nNode\nb.",  # a class for a state
        b"ccollections\nOrderedDict\n)Rccollections\nOrderedDict\nb.",
        b"cbuiltins\neval\n(S'1'\ntR.",
        b"}.",
        b"",
    ],
)
def test_other_names_in_an_archive_are_refused(content, tmp_path):
    with pytest.raises(UserError, match=r"hostile\.pt cannot be read as a TorchScript archive"):
        read_model(in_an_archive(tmp_path, content))


def test_a_tensor_sees_no_more_than_its_elements(tmp_path):
    written = files.torchscript(tmp_path / "a.pt", {"visual.a": torch.ones(2), "b": torch.ones(2)})
    with zipfile.ZipFile(written) as archive:
        content = archive.read("a/data.pkl")
    assert b"(K\x02t" in content  # a shape
    for shape in (b"(K\x7ft", b"(J\xff\xff\xff\xfft"):
        with pytest.raises(UserError, match="beyond its elements"):
            read_model(in_an_archive(tmp_path, content.replace(b"(K\x02t", shape)))
