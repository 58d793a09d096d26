import torch

from cl_bench.mergers import Average


def test_the_mean_of_many_models_is_exact_to_the_last_bits() -> None:
    generator = torch.Generator().manual_seed(0)
    pretrained = 0.02 * torch.randn(10_000, generator=generator)
    models = [pretrained + 1e-4 * torch.randn(10_000, generator=generator) for _ in range(50)]
    merged = Average().merge({"weight": pretrained}, [{"weight": model} for model in models])["weight"]
    mean = torch.stack(models).double().mean(0)
    assert ((merged - mean).abs() <= 4 * torch.finfo(torch.float32).eps * mean.abs()).all()
