"""The linearized encoder against differences, directional derivatives and back-propagation through forward mode."""

import copy

import pytest
import torch
from open_clip.transformer import QuickGELU, VisionTransformer
from torch import nn
from torch.func import functional_call, jvp
from torch.nn.attention import SDPBackend, sdpa_kernel

from cl_bench.backbones import tiny_clip
from cl_bench.backbones.linearized import Linearized
from cl_bench.runtime.errors import UserError
from tests.helpers.batch_normalized import batch_normalized
from tests.helpers.small import SmallEncoder

SHAPE = {"image_size": 16, "patch_size": 8, "width": 16, "layers": 2, "heads": 2, "mlp_ratio": 2.0, "output_dim": 6}
POOLER = {"attentional_pool": True, "attn_pooler_queries": 3, "attn_pooler_heads": 2}
BUILT = {
    "tiny_clip": lambda: tiny_clip.load().visual,
    "quick GELU": lambda: VisionTransformer(**SHAPE, act_layer=QuickGELU),
    "attentional pooling": lambda: VisionTransformer(**SHAPE, **POOLER),
    "mean, norm after it, none before": lambda: VisionTransformer(
        **SHAPE, pool_type="avg", final_ln_after_pool=True, no_ln_pre=True
    ),
    "layer scale": lambda: VisionTransformer(**SHAPE, ls_init_value=0.1),
    "fixed positions": lambda: VisionTransformer(**SHAPE, pos_embed_type="sin_cos_2d"),
    "patch dropout": lambda: VisionTransformer(**SHAPE, patch_dropout=0.5),
    "batch normalization": batch_normalized,
    "a parameter that is not used": lambda: VisionTransformer(
        **{**SHAPE, "output_dim": 16}, **{**POOLER, "attentional_pool": "parallel"}
    ),
}


@pytest.fixture(params=BUILT)
def encoder(request):
    torch.manual_seed(0)
    return BUILT[request.param]().double().eval().requires_grad_(True)


@pytest.fixture
def small():
    torch.manual_seed(0)
    return VisionTransformer(**SHAPE).double().eval()


def _images(encoder, count=2):
    return torch.randn(count, 3, *encoder.image_size, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def _weights(encoder):
    return {name: parameter.detach().clone() for name, parameter in encoder.named_parameters()}


def _direction(encoder, seed=2):
    generator = torch.Generator().manual_seed(seed)
    return {name: torch.randn(w.shape, dtype=w.dtype, generator=generator) for name, w in _weights(encoder).items()}


def _plus(weights, direction, factor=1.0):
    return {name: weights[name] + factor * direction[name] for name in weights}


def _at(module, weights, images):
    return functional_call(module, weights, (images,))


def _fused_attention():
    cuda = torch.backends.cuda
    return torch.backends.mha.get_fastpath_enabled(), cuda.flash_sdp_enabled(), cuda.mem_efficient_sdp_enabled()


def _gradients(linearized, images):
    linearized.zero_grad()
    linearized(images).square().sum().backward()
    return {name: parameter.grad for name, parameter in linearized.named_parameters()}


# What it is


@pytest.mark.parametrize("training", [True, False])
def test_it_equals_the_encoder_at_the_start(encoder, training):
    images = _images(encoder)
    expected = encoder(images).detach()
    linearized = Linearized(encoder).train(training)
    assert torch.allclose(linearized(images), expected, rtol=0, atol=1e-12)
    with torch.inference_mode():
        assert torch.allclose(linearized(images), expected, rtol=0, atol=1e-12)


def test_its_change_is_the_encoders_directional_derivative(encoder):
    images, start, direction = _images(encoder), _weights(encoder), _direction(encoder)
    h = 1e-6
    with torch.no_grad():
        ends = [_at(encoder, _plus(start, direction, factor), images) for factor in (h, -h)]
        linearized = Linearized(copy.deepcopy(encoder))
        change = _at(linearized, _plus(start, direction), images) - encoder(images)
    difference = (ends[0] - ends[1]) / (2 * h)
    assert (change - difference).norm() < 1e-6 * difference.norm()


def test_its_change_is_the_same_in_inference_mode(encoder):
    linearized = Linearized(encoder)
    linearized.load_state_dict(encoder.state_dict() | _plus(_weights(encoder), _direction(encoder)))
    expected = linearized(_images(encoder)).detach()
    with torch.inference_mode():
        assert torch.allclose(linearized(_images(encoder)), expected, rtol=1e-12, atol=1e-12)


def test_it_is_linear_in_the_weights(encoder):
    images, start = _images(encoder), _weights(encoder)
    a, b = _direction(encoder, seed=2), _direction(encoder, seed=3)
    linearized = Linearized(encoder)
    with torch.no_grad():
        origin, of_a, of_b, of_both = (
            _at(linearized, weights, images)
            for weights in (start, _plus(start, a), _plus(start, b, -2.5), _plus(_plus(start, a), b, -2.5))
        )
    assert torch.allclose(of_both - origin, (of_a - origin) + (of_b - origin), rtol=1e-10, atol=1e-10)
    assert (of_both - origin).norm() > 1


# Its gradient


@pytest.mark.parametrize("checkpointing", [False, True])
def test_gradients_are_those_of_back_propagation_through_forward_mode(encoder, checkpointing):
    images, start, direction = _images(encoder), _weights(encoder), _direction(encoder)
    reference = copy.deepcopy(encoder)
    moved = {name: tensor.requires_grad_() for name, tensor in _plus(start, direction, 0.1).items()}
    torch.backends.mha.set_fastpath_enabled(False)
    with sdpa_kernel(SDPBackend.MATH):
        moves = {name: moved[name] - start[name] for name in start}
        features, change = jvp(lambda at: _at(reference, at, images), (start,), (moves,))
    torch.backends.mha.set_fastpath_enabled(True)
    loss = (features + change).square().sum()
    expected = torch.autograd.grad(loss, list(moved.values()), allow_unused=True)
    linearized = Linearized(encoder, checkpointing).train()
    linearized.load_state_dict(encoder.state_dict() | moved)
    gradients = _gradients(linearized, images)
    for plain, mine in zip(expected, gradients.values(), strict=True):
        if mine is None:
            assert plain is None or not plain.any()
        else:
            assert torch.allclose(mine, plain, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("checkpointing", [False, True])
def test_gradcheck(checkpointing):
    torch.manual_seed(0)
    encoder = VisionTransformer(2, 2, 4, 1, 2, 1.0, output_dim=2).double()
    images, names = _images(encoder, 1), list(_weights(encoder))
    moved = [tensor.requires_grad_() for tensor in _plus(_weights(encoder), _direction(encoder), 0.1).values()]
    linearized = Linearized(encoder, checkpointing)
    assert torch.autograd.gradcheck(lambda *w: _at(linearized, dict(zip(names, w, strict=True)), images), moved)


def test_checkpointing_computes_the_blocks_again(small):
    calls = []
    small.transformer.resblocks[0].register_forward_pre_hook(lambda *_: calls.append(torch.is_grad_enabled()))
    counts = []
    for checkpointing in (False, True):
        linearized = Linearized(copy.deepcopy(small), checkpointing)
        calls.clear()
        features = linearized(_images(small))
        before = len(calls)
        features.sum().backward()
        counts.append((before, len(calls)))
    assert counts == [(2, 2), (2, 3)]  # forward mode, back-propagation's pass, and that one again


def test_only_what_is_trained_gets_a_gradient(small):
    images, moved = _images(small), _plus(_weights(small), _direction(small), 0.1)
    whole, part = Linearized(copy.deepcopy(small)), Linearized(small)
    whole.load_state_dict(moved)
    part.load_state_dict(moved)
    part.requires_grad_(False)
    part.proj.requires_grad_(True)
    gradients = _gradients(part, images)
    assert [name for name, gradient in gradients.items() if gradient is not None] == ["proj"]
    assert torch.allclose(gradients["proj"], _gradients(whole, images)["proj"], rtol=1e-12)
    part.requires_grad_(False)
    assert not part(images).requires_grad


def test_gradients_of_second_order_are_refused(small):
    linearized = Linearized(small)
    (first,) = torch.autograd.grad(linearized(_images(small)).square().sum(), [linearized.proj], create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        first.sum().backward()


# As a module


def test_its_state_is_the_encoders(encoder):
    state = {name: tensor.clone() for name, tensor in encoder.state_dict().items()}
    names = [name for name, _ in encoder.named_parameters()]
    linearized = Linearized(encoder)
    assert list(linearized.state_dict()) == list(state)
    assert all(torch.equal(linearized.state_dict()[name], tensor) for name, tensor in state.items())
    assert [name for name, _ in linearized.named_parameters()] == names
    linearized.load_state_dict({name: tensor + 1 for name, tensor in state.items()})
    assert all(torch.equal(tensor, state[name]) for name, tensor in linearized.start().items())


def test_a_copy_has_weights_of_its_own_and_the_same_start(small):
    images, start = _images(small), _weights(small)
    linearized = Linearized(small)
    moved, other = _plus(start, _direction(small)), _plus(start, _direction(small, seed=3))
    linearized.load_state_dict(moved)
    copied = copy.deepcopy(linearized).eval().requires_grad_(False)
    with torch.inference_mode():
        assert torch.equal(copied(images), linearized(images))
        before = linearized(images)
        copied.load_state_dict(other)
        assert torch.equal(linearized(images), before)
        assert torch.equal(copied(images), _at(linearized, other, images))


def test_it_leaves_nothing_changed_behind(small):
    linearized, before = Linearized(small, checkpointing=True).train(), _fused_attention()
    _gradients(linearized, _images(small))
    with pytest.raises(RuntimeError), torch.no_grad():
        linearized(torch.zeros(1, 1, 1, 1))
    assert _fused_attention() == before == (True, True, True)
    assert not any(tensor.requires_grad for tensor in linearized.start().values())
    assert not linearized.origin.transformer.grad_checkpointing
    assert linearized.training and not linearized.origin.training


def test_it_moves_as_a_whole_also_after_a_step(small):
    linearized = Linearized(small)
    _gradients(linearized, _images(small))
    linearized.float()
    assert {tensor.dtype for tensor in linearized.start().values()} == {torch.float32}
    assert linearized(_images(small).float()).dtype == torch.float32


@pytest.mark.parametrize("checkpointing", [False, True])
def test_bfloat16_gives_about_the_same(checkpointing):
    encoder = tiny_clip.load().visual
    images, start = _images(encoder, 16).float(), _weights(encoder)
    linearized = Linearized(encoder, checkpointing)
    linearized.load_state_dict(_plus(start, _direction(encoder), 1e-2))
    expected = linearized(images).detach()
    plain = _gradients(linearized, images)
    with torch.autocast("cpu", torch.bfloat16):
        features = linearized(images)
    assert features.dtype == torch.bfloat16
    assert (features - expected).norm() < 0.02 * expected.norm()
    linearized.zero_grad()
    features.float().square().sum().backward()
    for name, parameter in linearized.named_parameters():
        assert parameter.grad.dtype == torch.float32
        assert (parameter.grad - plain[name]).norm() < 0.06 * plain[name].norm()


def test_compiling_changes_nothing(small):
    images, moved = _images(small), _plus(_weights(small), _direction(small), 0.1)
    plain, compiled = Linearized(copy.deepcopy(small)), Linearized(small)
    plain.load_state_dict(moved)
    compiled.load_state_dict(moved)
    compiled.compile(backend="eager")
    expected = _gradients(plain, images)
    for name, gradient in _gradients(compiled, images).items():
        assert torch.allclose(gradient, expected[name], rtol=1e-9, atol=1e-12)
    with torch.inference_mode():
        assert torch.allclose(compiled.eval()(images), plain(images), rtol=1e-12, atol=1e-12)


# What is refused


def test_an_encoder_that_cannot_compute_again_is_refused():
    with pytest.raises(UserError, match=r"checkpointing=true: SmallEncoder"):
        Linearized(SmallEncoder(), checkpointing=True)


def test_parameters_outside_of_submodules_are_trained_too():
    module = nn.Linear(3, 2)
    linearized = Linearized(module)
    assert [name for name, _ in linearized.named_parameters()] == ["weight", "bias"]
    assert set(_gradients(linearized, torch.ones(1, 3))) == {"weight", "bias"}
