"""Accuracy and loss against plain formulas, and features against the run's own evaluation."""

import numpy as np
import pytest
import torch

from cl_bench.analyses.feature_extractor import FeatureExtractor
from cl_bench.analyses.score import score


def test_score_is_accuracy_and_cross_entropy_among_the_allowed_classes():
    generator = torch.Generator().manual_seed(0)
    features, head = torch.randn(40, 6, generator=generator), 5 * torch.randn(4, 6, generator=generator)
    labels, allowed = torch.randint(1, 4, (40,), generator=generator), torch.tensor([False, True, True, True])
    units = features.double().numpy() / np.linalg.norm(features.double().numpy(), axis=1, keepdims=True)
    logits = units @ head.double().numpy()[1:].T
    log_shares = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    right = logits.argmax(axis=1) + 1 == labels.numpy()
    found = score(features, labels, head, allowed)
    assert found.accuracy == pytest.approx(100 * right.mean())
    assert found.loss == pytest.approx(-log_shares[np.arange(40), labels.numpy() - 1].mean(), rel=1e-5)


@pytest.mark.slow
def test_features_give_the_accuracy_that_the_run_has_found(opened):
    run = opened("sequential_magmax")
    for task, experience in enumerate(run.parts.scenario.streams["test"]):
        features = FeatureExtractor(run.parts).features(run.finetuned[task], experience.samples)
        found = score(features, experience.samples.labels, run.parts.head.rows, experience.class_masks[0])
        assert found.accuracy == pytest.approx(run.record["finetuned"]["matrix"]["task_aware"][task + 1][task])
