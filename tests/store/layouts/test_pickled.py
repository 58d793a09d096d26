"""Pickles of whole encoders, as task_vectors and tall_masks have published them; nothing that is in them is run."""

import importlib.util
import os
import pickle
import sys
import types
import zipfile
from pathlib import Path

import open_clip
import pytest
import torch
from torch import Tensor, nn

from cl_bench.runtime.errors import UserError
from cl_bench.store.layouts.reader import read_like
from cl_bench.store.models import read_model
from tests.store.clip_files import CONFIGURATION
from tests.store.layouts.encoders import Architecture, assert_features, shaken, small

MODULE = """
import torch

class ImageEncoder(torch.nn.Module):
    def __init__(self, model, preprocess, keep_lang=False):
        super().__init__()
        self.model, self.train_preprocess, self.cache_dir = model, preprocess, None
        if not keep_lang:
            del self.model.transformer

class Classifier(ImageEncoder):
    pass
"""


@pytest.fixture
def classes():
    """The classes of a module that can be imported while it writes, and cannot any more when its file is read."""
    package, module = types.ModuleType("src_of_others"), types.ModuleType("src_of_others.modeling")
    sys.modules |= {module.__name__: module, package.__name__: package}
    exec(MODULE, module.__dict__)
    yield module
    forget()


def forget() -> None:
    for name in ("src_of_others", "src_of_others.modeling"):
        sys.modules.pop(name, None)
    assert importlib.util.find_spec("src_of_others") is None


def clip() -> nn.Module:
    return shaken(open_clip.model.CLIP(**CONFIGURATION), seed=5)


def preprocess():
    return open_clip.transform.image_transform(32, is_train=False)


@pytest.mark.parametrize("keep_lang", [True, False])
def test_an_encoder_of_task_vectors(keep_lang: bool, classes, tmp_path: Path) -> None:
    encoder, path = small(), tmp_path / "finetuned.pt"
    model = clip()
    with torch.inference_mode():
        expected = model.encode_image(encoder.images)
    torch.save(classes.ImageEncoder(model, preprocess(), keep_lang), path)
    names = {name for name in classes.ImageEncoder(clip(), None).state_dict() if name.startswith("model.visual.")}
    forget()
    with pytest.raises(ModuleNotFoundError):
        torch.load(path, weights_only=False)
    assert read_model(path).keys() == names
    found = read_like(path, encoder.theta_0)
    assert found.layout == "open_clip, image tower, under 'model.'"
    assert_features(found, encoder, expected)
    assert "src_of_others" not in sys.modules


def test_its_tensors_are_mapped(classes, tmp_path: Path) -> None:
    class_, path = classes.ImageEncoder, tmp_path / "big.pt"
    model = nn.Module()
    model.transformer, model.visual = nn.Module(), nn.Linear(4096, 4096, bias=False)
    torch.save(class_(model, None), path)
    before = _anonymous_kib()
    read = read_model(path)
    assert _anonymous_kib() - before < 2**14  # of 2**16
    assert torch.equal(read["model.visual.weight"], model.visual.weight)


def _anonymous_kib() -> int:
    return int(Path("/proc/self/status").read_text().split("RssAnon:")[1].split()[0])


class Runs:
    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self):
        return os.mkdir, (str(self.trace),)


@pytest.mark.parametrize("inside", ["preprocess", "parameter", "beside"])
def test_a_pickle_that_would_run_something_is_refused_and_runs_nothing(inside, classes, tmp_path: Path) -> None:
    path, trace = tmp_path / "hostile.pt", tmp_path / "trace"
    runs = Runs(trace)
    encoder = classes.ImageEncoder(clip(), runs if inside == "preprocess" else None)
    if inside == "parameter":
        encoder.model._parameters["evil"] = runs
    torch.save([encoder, runs] if inside == "beside" else encoder, path)
    forget()
    with pytest.raises(UserError, match=r"hostile\.pt cannot be read.*such as posix\.mkdir") as raised:
        read_like(path, small().theta_0)
    assert "\n" not in str(raised.value) and not trace.exists()
    pickle.loads(pickle.dumps(runs))  # it would have
    assert trace.exists()


OTHERS = {
    "a module": (lambda classes: nn.Linear(2, 2), r"such as torch\.nn\.modules\.linear\.Linear"),
    "another class": (lambda classes: classes.Classifier(clip(), None), r"such as src_of_others\.modeling\.Classifier"),
    "a list": (lambda classes: [classes.ImageEncoder(clip(), None)], "in a collection"),
}


@pytest.mark.parametrize(("made", "message"), OTHERS.values(), ids=OTHERS)
def test_other_pickled_modules_are_refused(made, message: str, classes, tmp_path: Path) -> None:
    torch.save(made(classes), tmp_path / "module.pt")
    with pytest.raises(UserError, match=rf"module\.pt cannot be read.*{message}.*save model\.state_dict\(\)"):
        read_model(tmp_path / "module.pt")


def with_list(path: Path, content: bytes) -> Path:
    """The same archive, whose list of objects is another one."""
    target = path.with_name("edited.pt")
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(target, "w") as file:
        for entry in source.infolist():
            file.writestr(entry.filename, content if entry.filename.endswith("/data.pkl") else source.read(entry))
    return target


@pytest.mark.parametrize(
    "content",
    [
        b"csrc\nImageEncoder\n.",  # the class itself
        b"csrc\nImageEncoder\n)\x81.",  # without a state
        b"csrc\nImageEncoder\n)\x81}X\x08\x00\x00\x00_modulesK\x01sb.",
        b"csrc\nImageEncoder\ncsrc\nImageEncoder\nb.",
        b"ctorch._utils\n_rebuild_tensor_v2\n(N}X\x0c\x00\x00\x00__defaults__)stb.",  # would change the function
        b"ctorch._utils\n_rebuild_tensor_v2\n}b0}X\x0a\x00\x00\x00state_dict}s.",  # the same, and then an honest end
        b"cbuiltins\neval\n(S'1'\ntR.",
        b"",
    ],
)
def test_edited_lists_of_objects_are_refused(content: bytes, classes, tmp_path: Path) -> None:
    torch.save(classes.ImageEncoder(clip(), None), tmp_path / "whole.pt")
    with pytest.raises(UserError, match=r"edited\.pt cannot be read"):
        read_model(with_list(tmp_path / "whole.pt", content))


def test_half_a_pickle_is_refused(classes, tmp_path: Path) -> None:
    path = tmp_path / "whole.pt"
    torch.save(classes.ImageEncoder(clip(), None), path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(UserError, match=r"whole\.pt cannot be read"):
        read_model(path)


def test_buffers_that_no_state_has_and_parameters_that_are_none_are_left_out(classes, tmp_path: Path) -> None:
    model = nn.Module()
    model.transformer, model.visual = nn.Module(), nn.Module()
    model.visual.register_buffer("kept", torch.ones(2))
    model.visual.register_buffer("passing", torch.ones(3), persistent=False)
    model.visual.register_parameter("none", None)
    encoder = classes.ImageEncoder(model, None)
    torch.save(encoder, tmp_path / "module.pt")
    expected: dict[str, Tensor] = encoder.state_dict()
    read = read_model(tmp_path / "module.pt")
    assert read.keys() == expected.keys() == {"model.visual.kept"} and torch.equal(
        read["model.visual.kept"], torch.ones(2)
    )


def test_a_checkpoint_with_objects_beside_its_tensors_gives_the_tensors(classes, tmp_path: Path) -> None:
    encoder: Architecture = small()
    content = {"state_dict": encoder.theta_0, "hyper_parameters": classes.ImageEncoder(clip(), preprocess())}
    torch.save(content, tmp_path / "last.ckpt")
    forget()
    read = read_model(tmp_path / "last.ckpt")
    assert all(torch.equal(read[name], tensor) for name, tensor in encoder.theta_0.items())
