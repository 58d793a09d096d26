"""Writes CIFAR-100's files as the release has them: pickled dictionaries of planar 8-bit images and labels."""

import pickle

import numpy as np

NAMES = ["apple", "aquarium_fish", *(f"thing_{i:02d}" for i in range(98))]


def write_cifar100(root, train, test, seed=0):
    """`train` and `test` random images, labels counting through the classes. Returns both splits' arrays."""
    random, folder = np.random.default_rng(seed), root / "cifar-100-python"
    folder.mkdir(parents=True)
    pixels, labels = {}, {}
    for split, count in (("train", train), ("test", test)):
        pixels[split] = random.integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)
        labels[split] = np.arange(count) % 100
        planar = pixels[split].transpose(0, 3, 1, 2).reshape(count, 3072)
        (folder / split).write_bytes(pickle.dumps({"data": planar, "fine_labels": labels[split].tolist()}))
    (folder / "meta").write_bytes(pickle.dumps({"fine_label_names": NAMES}))
    return pixels, labels
