import torch

from cl_bench.mergers import Last


def test_scaling_one_gives_the_last_weights_bit_for_bit() -> None:
    generator = torch.Generator().manual_seed(0)
    pretrained, first, last = (
        {"w": torch.randn(1000, generator=generator) * 10.0**exponent} for exponent in (3, 0, -5)
    )
    last["w"][0] = -0.0
    merged = Last().merge(pretrained, [first, last])["w"]
    assert torch.equal(merged.view(torch.int32), last["w"].view(torch.int32))


def test_other_scalings_move_along_the_task_vector() -> None:
    merged = Last(0.25).merge({"w": torch.tensor([1.0])}, [{"w": torch.tensor([5.0])}])
    assert merged["w"].tolist() == [2.0]
