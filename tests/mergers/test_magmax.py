import pytest
import torch

from cl_bench.mergers import MagMax


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ((2.0, -2.0), -2.0),
        ((-2.0, 2.0), 2.0),
        ((3.0, -2.0, 1.0), 3.0),
        ((0.0, 0.0), 0.0),
        ((-1.0, 0.0), -1.0),
    ],
)
def test_largest_magnitude_wins_and_ties_go_to_the_later_task(values: tuple[float, ...], expected: float) -> None:
    finetuned = [{"w": torch.tensor([value])} for value in values]
    assert MagMax(1.0).merge({"w": torch.zeros(1)}, finetuned)["w"].item() == expected


def test_exact_at_every_element() -> None:
    # Values of very different size: selection by arithmetic would leave rounding errors.
    generator = torch.Generator().manual_seed(0)
    vectors = torch.randn(6, 5000, generator=generator) * 10.0 ** torch.randint(-9, 9, (6, 5000), generator=generator)
    merged = MagMax(1.0).merge({"w": torch.zeros(5000)}, [{"w": vector} for vector in vectors])["w"]
    assert torch.equal(merged, vectors.gather(0, vectors.abs().argmax(0, keepdim=True))[0])


def test_a_sparse_tensor_is_refused() -> None:
    with pytest.raises(ValueError, match="'w' is sparse, not a dense tensor"):
        MagMax().merge({"w": torch.ones(3, 3)}, [{"w": torch.eye(3).to_sparse()}])
