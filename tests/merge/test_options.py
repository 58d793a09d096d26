"""Settings of the merge command beside the files: weights of models, rules by name, the type of the result."""

import pytest
import torch
from safetensors.torch import load_file, save_file

from cl_bench.mergers import Average, Ties
from tests.merge.conftest import FILES, model

pytestmark = pytest.mark.slow


def test_models_have_weights_by_their_files_names_or_in_order(merge, tmp_path):
    expected = Average(weights=[3.0, 1.0]).merge(model(0), [model(1), model(2)])["w"]
    named = merge("merger=average", "merger.weights={a: 3}", *FILES)
    listed = merge("merger=average", "merger.weights=[3,1]", *FILES[:2], "out=listed.safetensors")
    assert (named.returncode, listed.returncode) == (0, 0), named.stderr + listed.stderr
    for path in ("new/merged.safetensors", "listed.safetensors"):
        assert torch.equal(load_file(tmp_path / path)["w"], expected)
    for weights, told in (
        ("{a.safetensors: 3}", "merger.weights names 'a.safetensors', which is no"),
        ("[3]", "lists 1"),
    ):
        refused = merge("merger=average", f"merger.weights={weights}", *FILES[:2], "out=x.safetensors")
        assert refused.returncode == 2 and told in refused.stderr and "'a', 'b'" in refused.stderr
    # Where two files have one name, it is the path.
    (tmp_path / "other").mkdir()
    save_file(model(2), tmp_path / "other" / "a.safetensors")
    alike = (FILES[0], "finetuned=[a.safetensors,other/a.safetensors]", "out=alike.safetensors")
    done = merge("merger=average", "merger.weights={a.safetensors: 3}", *alike)
    assert done.returncode == 0, done.stderr
    assert torch.equal(load_file(tmp_path / "alike.safetensors")["w"], expected)


def test_parameters_have_rules_and_scalings_by_their_names(merge, tmp_path):
    for seed, name in enumerate(("base", "a", "b")):
        weights = {key: model(10 * seed + i)["w"] for i, key in enumerate(("visual.attn.w", "visual.mlp.w", "proj"))}
        save_file(weights, tmp_path / f"{name}.safetensors")
    files = (FILES[0], "finetuned=[a.safetensors,b.safetensors]", "merger=by_name")
    of_ties = "{match: '*.mlp.*', merger: {_target_: cl_bench.mergers.Ties, weights: {b: 3}}}"
    done = merge(*files, f"merger.rules=[{{match: *attn*, scaling: 0.5}},{of_ties}]", "out=out.safetensors")
    assert done.returncode == 0, done.stderr
    merged, (start, *finetuned) = (
        load_file(tmp_path / "out.safetensors"),
        [load_file(tmp_path / f"{n}.safetensors") for n in ("base", "a", "b")],
    )
    mlp = [{"visual.mlp.w": one["visual.mlp.w"]} for one in (start, *finetuned)]
    average = Average().merge(start, finetuned)
    expected = average | Ties(weights=[1.0, 3.0]).merge(mlp[0], mlp[1:])
    expected["visual.attn.w"] = start["visual.attn.w"].lerp(average["visual.attn.w"], 0.5)
    for name, tensor in expected.items():
        torch.testing.assert_close(merged[name], tensor)
    refused = merge(*files, "merger.rules=[{match: attn, scaling: 0.5}]", "out=x.safetensors")
    assert refused.returncode == 2 and not (tmp_path / "x.safetensors").exists()
    assert "no parameter fits 'attn'; there are: proj, visual.attn.w, visual.mlp.w." in refused.stderr


def test_the_result_has_the_type_that_is_asked_for(merge, tmp_path):
    start, *finetuned = ({"w": model(seed)["w"], "layer.running_var": torch.ones(3)} for seed in range(3))
    save_file({"w": start["w"].bfloat16(), "layer.running_var": torch.ones(3)}, tmp_path / "base.safetensors")
    for name, weights in zip("ab", finetuned, strict=True):
        save_file(weights, tmp_path / f"{name}.safetensors")
    files = (FILES[0], "finetuned=[a.safetensors,b.safetensors]", "merger=average")
    expected = finetuned[0]["w"].lerp(finetuned[1]["w"], 0.5)
    for dtype, out in ((None, torch.bfloat16), ("float32", torch.float32), ("float16", torch.float16)):
        done = merge(*files, f"out={dtype}.safetensors", *([f"out_dtype={dtype}"] if dtype else []))
        assert done.returncode == 0, done.stderr
        merged = load_file(tmp_path / f"{dtype}.safetensors")
        assert merged["w"].dtype == out and merged["layer.running_var"].dtype == (out if dtype else torch.float32)
        torch.testing.assert_close(merged["w"].float(), expected, rtol=torch.finfo(out).eps, atol=1e-6)
    for more, told in (
        (("out_dtype=float8",), "out_dtype='float8' does not fit: input should be 'float64', 'float32', 'bfloat16' or"),
        (("out_dtype=float16", "merger.scaling=1e6"), "'w' has values from "),
    ):
        refused = merge(*files, "out=refused.safetensors", *more)
        assert refused.returncode == 2 and told in refused.stderr and refused.stderr.count("\n") == 1
    assert not (tmp_path / "refused.safetensors").exists()
