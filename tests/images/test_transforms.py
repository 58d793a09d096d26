"""The batched transform against the published one: torchvision on Pillow images."""

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image
from sklearn.datasets import load_sample_images
from torchvision import transforms
from torchvision.transforms import InterpolationMode

from cl_bench.images.resizing import resize_short_side
from cl_bench.images.transforms import ImageTransform, crop_boxes, draw_crops
from cl_bench.runtime.devices import Devices
from cl_bench.runtime.seeds import generator

MEAN, STD = (0.48, 0.45, 0.40), (0.26, 0.26, 0.27)
GRAY_LEVEL = 1 / 255 / min(STD)


def _crops(height, width, count, seed):
    return crop_boxes(torch.tensor([[height, width]] * count), draw_crops(count, generator(seed)))


def _images(count: int, height: int, width: int, seed: int = 0) -> torch.Tensor:
    random = np.random.default_rng(seed)
    return torch.from_numpy(random.integers(0, 256, (count, height, width, 3), dtype=np.uint8))


def _published(pixels: torch.Tensor, *steps) -> torch.Tensor:
    chain = transforms.Compose([*steps, transforms.ToTensor(), transforms.Normalize(MEAN, STD)])
    return torch.stack([chain(Image.fromarray(image.numpy())) for image in pixels])


@pytest.mark.parametrize(
    ("height", "width", "size"), [(32, 32, 224), (32, 32, 32), (28, 28, 32), (40, 61, 32), (90, 48, 32)]
)
@pytest.mark.parametrize("resampling", ["batched", "pillow"])
def test_evaluation_is_the_published_one_to_a_gray_level(height, width, size, resampling):
    pixels = _images(3, height, width)
    expected = _published(pixels, transforms.Resize(size, InterpolationMode.BICUBIC), transforms.CenterCrop(size))
    actual = ImageTransform(size, MEAN, STD, resampling)(pixels)
    assert (actual - expected).abs().max() <= (1.01 * GRAY_LEVEL if resampling == "batched" else 1e-5)


@settings(max_examples=25, deadline=None)
@example(height=9, width=8, size=16, seed=8)  # both roundings meet: two levels
@given(height=st.integers(8, 32), width=st.integers(8, 32), size=st.sampled_from([32, 56]), seed=st.integers(0, 99))
def test_enlarged_training_crops_are_torchvisions_to_two_gray_levels(height, width, size, seed):
    batched, pillow, expected = _crops_three_ways(height, width, size, seed)
    assert (batched - expected).abs().max() <= 2.01 * GRAY_LEVEL
    assert (pillow - expected).abs().max() <= 1e-5


@settings(max_examples=25, deadline=None)
@example(height=33, width=25, size=32, seed=0)  # Pillow takes the vertical axis first
@given(height=st.integers(8, 70), width=st.integers(8, 70), size=st.sampled_from([16, 32, 56]), seed=st.integers(0, 99))
def test_shrunk_training_crops_differ_in_the_order_of_the_axes_only(height, width, size, seed):
    batched, pillow, expected = _crops_three_ways(height, width, size, seed)
    assert (batched - expected).abs().mean() <= GRAY_LEVEL
    assert (pillow - expected).abs().max() <= 1e-5


def _crops_three_ways(height, width, size, seed):
    pixels = _images(4, height, width, seed)
    crops = _crops(height, width, 4, seed)
    expected = torch.cat(
        [
            _published(
                image[None],
                transforms.Lambda(
                    lambda picture, box=box: transforms.functional.resized_crop(
                        picture, *box, [size, size], InterpolationMode.BICUBIC
                    )
                ),
            )
            for image, box in zip(pixels, crops.tolist(), strict=True)
        ]
    )
    transforms_ = (ImageTransform(size, MEAN, STD, resampling) for resampling in ("batched", "pillow"))
    return *(transform(pixels, crops) for transform in transforms_), expected


@pytest.mark.parametrize(("height", "width"), [(32, 32), (100, 60), (20, 90)])
def test_crops_are_drawn_from_torchvisions_distribution(height, width):
    count = 4000
    torch.manual_seed(0)
    picture = torch.zeros(3, height, width)
    draw = transforms.RandomResizedCrop.get_params
    expected = torch.tensor([draw(picture, [0.9, 1.0], [3 / 4, 4 / 3]) for _ in range(count)]).double()
    actual = _crops(height, width, count, 1).double()
    noise = 4 * expected.std(dim=0) / count**0.5 * 2**0.5 + 0.02
    assert ((actual.mean(dim=0) - expected.mean(dim=0)).abs() <= noise).all()
    assert ((actual.std(dim=0) - expected.std(dim=0)).abs() <= noise).all()


@given(height=st.integers(1, 500), width=st.integers(1, 500), seed=st.integers(0, 9))
@settings(deadline=None)
def test_crops_lie_inside_the_image(height, width, seed):
    top, left, h, w = _crops(height, width, 20, seed).unbind(dim=1)
    assert (top >= 0).all() and (left >= 0).all() and (h >= 1).all() and (w >= 1).all()
    assert (top + h <= height).all() and (left + w <= width).all()


def test_pixels_are_resampled_in_float32_whatever_the_precision_of_the_model(monkeypatch):
    seen, product = [], torch.matmul

    def matmul(*factors):
        seen.append((torch.get_float32_matmul_precision(), torch.is_autocast_enabled("cpu")))
        return product(*factors)

    monkeypatch.setattr(torch, "matmul", matmul)
    with Devices(accelerator="cpu", precision="bf16-mixed", matmul_precision="high").autocast():
        ImageTransform(8, (0.5,) * 3, (0.5,) * 3)(torch.zeros(1, 6, 6, 3, dtype=torch.uint8))
    assert seen == [("highest", False)] * 2


def test_a_batch_is_transformed_as_its_images_are():
    pixels, crops = _images(6, 30, 44), _crops(30, 44, 6, 0)
    transform = ImageTransform(32, MEAN, STD)
    one_by_one = torch.cat([transform(pixels[i : i + 1], crops[i : i + 1]) for i in range(6)])
    assert torch.allclose(transform(pixels, crops), one_by_one, atol=1.01 * GRAY_LEVEL)


@given(height=st.integers(20, 300), width=st.integers(20, 300), seed=st.integers(0, 99))
@settings(deadline=None)
def test_squares_of_images_one_by_one_are_torchvisions(height, width, seed):
    images, draws = list(_images(3, height, width, seed).numpy()), draw_crops(3, generator(seed))
    fast, published = (ImageTransform(64, MEAN, STD, resampling) for resampling in ("batched", "pillow"))
    boxes = crop_boxes(torch.tensor([[height, width]] * 3), draws).tolist()
    bicubic = InterpolationMode.BICUBIC
    crop = transforms.functional.resized_crop
    cropped = [np.array(crop(Image.fromarray(i), *b, [64, 64], bicubic)) for i, b in zip(images, boxes, strict=True)]
    assert (published.squares(images, draws).numpy() == np.stack(cropped)).all()
    assert np.abs(fast.squares(images, draws).numpy().astype(int) - np.stack(cropped)).mean() <= 1
    look = transforms.Compose([transforms.Resize(64, bicubic), transforms.CenterCrop(64)])
    whole = np.stack([np.array(look(Image.fromarray(image))) for image in images])
    for transform in (fast, published):
        assert (transform.squares(images).numpy() == whole).all()
        ready = transform(torch.from_numpy(whole))
        expected = torch.from_numpy(whole).permute(0, 3, 1, 2) / 255
        assert torch.allclose(
            ready * torch.tensor(STD).view(3, 1, 1) + torch.tensor(MEAN).view(3, 1, 1), expected, atol=1e-5
        )


def test_training_crops_from_the_prepared_cache_stay_near_those_from_the_files():
    """On photographs of 334 x 500 pixels: two gray levels of 255 on average, most of it half a pixel's shift."""
    photographs = [
        np.array(Image.fromarray(image).resize((500, 334), Image.Resampling.LANCZOS))
        for image in load_sample_images().images
    ]
    draws = draw_crops(2, generator(0))
    published = ImageTransform(224, MEAN, STD, "pillow").squares(photographs, draws).int()
    cached = ImageTransform(224, MEAN, STD).squares([resize_short_side(image, 224) for image in photographs], draws)
    assert (cached - published).abs().float().mean() <= 2.5
