import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cl_bench.datasets import image_clef, office31, office_home
from cl_bench.datasets.releases import split
from cl_bench.images.files import ImageFiles

STRATA = st.lists(st.integers(0, 12), min_size=1, max_size=80).map(lambda values: np.array(values, dtype=np.int64))


@st.composite
def strata_and_total(draw):
    strata = draw(STRATA)
    return strata, draw(st.integers(0, len(strata)))


def names(count):
    return [f"class/{i:03d}.jpg" for i in range(count)]


@given(strata_and_total())
def test_quotas_sum_to_the_total_and_are_the_exact_shares_rounded_up_or_down(case):
    strata, total = case
    sizes, quotas = np.bincount(strata), split.proportional(strata, total)
    assert quotas.sum() == total
    assert (quotas >= sizes * total // len(strata)).all()
    assert (quotas <= -(-sizes * total // len(strata))).all()
    assert (quotas <= sizes).all()


@given(strata_and_total(), st.integers(0, 12), st.integers(0, 12))
def test_neighboring_strata_together_get_their_share_too(case, first, last):
    strata, total = case
    sizes, quotas = np.bincount(strata), split.proportional(strata, total)
    exact = sizes[first:last].sum() * total / len(strata)
    assert abs(quotas[first:last].sum() - exact) < 1


def test_a_domain_of_many_small_classes_gets_its_share():
    """Rounding each class by itself would hold out none of the first domain's images."""
    strata = np.concatenate([np.repeat(np.arange(100), 2), np.repeat(np.arange(100, 110), 80)])
    quotas = split.proportional(strata, 200)
    assert quotas[:100].sum() == 40 and quotas[100:].sum() == 160


@given(STRATA, st.randoms(use_true_random=False), st.floats(0, 1))
def test_the_same_images_are_held_out_in_whatever_order_they_are_named(strata, random, share):
    quotas = split.proportional(strata, int(share * len(strata)))
    files, shuffled = names(len(strata)), list(range(len(strata)))
    random.shuffle(shuffled)
    held = split.held_out(files, strata, quotas)
    again = split.held_out([files[i] for i in shuffled], strata[shuffled], quotas)
    assert (again == held[shuffled]).all()
    assert (np.bincount(strata, weights=held) == quotas).all()


def test_another_seed_gives_another_list():
    strata = np.repeat(np.arange(4), 25)
    first, second = (split.held_out(names(100), strata, [5] * 4, seed) for seed in (0, 1))
    assert first.sum() == second.sum() == 20
    assert (first != second).any()


def test_another_image_replaces_at_most_one_of_its_stratum():
    strata = np.zeros(50, dtype=np.int64)
    before = split.held_out(names(49), strata[1:], [10])
    after = split.held_out(names(50), strata, [10])
    assert (before & ~after[:49]).sum() <= 1 and not (after[:49] & ~before).any()


def test_the_rule_stays_as_it_was_published():
    """Whoever changes the rule changes every result on a split of our own."""
    strata = np.arange(3_000) % 37
    held = split.held_out(names(3_000), strata, split.proportional(strata, 600))
    listed = [name for name, tested in zip(names(3_000), held, strict=True) if tested]
    assert split.digest(listed) == "ab511b4239ee7fcf2dd1191815fab14f0150e5d3a4f9d4037c893c5b64c04140"


def test_digest_is_of_the_sorted_names():
    expected = hashlib.sha256(b"a/1.jpg\nb/2.jpg").hexdigest()
    assert split.digest(["b/2.jpg", "a/1.jpg"]) == split.digest(["a/1.jpg", "b/2.jpg"]) == expected
    assert split.digest(["a/1.jpg"]) != expected


def test_names_that_are_not_utf_8_are_ranked_by_their_bytes():
    name = b"caf\xe9.jpg".decode("utf-8", "surrogateescape")
    assert split.digest([name]) == hashlib.sha256(b"caf\xe9.jpg").hexdigest()
    assert split.held_out([name], np.zeros(1, dtype=np.int64), [1]).all()


@pytest.mark.parametrize("share", [0.2, 0.5])
def test_splitting_off_keeps_images_with_their_labels_and_domains(tmp_path, share):
    labels = np.arange(120) % 5
    domains = np.arange(120) // 5 % 3
    files = [f"d{domain}/c{label}/{i}.jpg" for i, (domain, label) in enumerate(zip(domains, labels, strict=True))]
    train, test, digest = split.split_off(ImageFiles(tmp_path, files, ""), files, labels, domains, share)
    assert len(test) == round(share * 120)
    assert sorted(train.pixels.names + test.pixels.names) == sorted(files)
    for part in (train, test):
        for name, label, domain in zip(part.pixels.names, part.labels, part.domains, strict=True):
            assert name.startswith(f"d{domain}/c{label}/")
    assert (np.bincount(test.domains) == round(share * 40)).all()
    assert digest == split.digest(test.pixels.names)


def test_without_domains_each_class_gets_its_share(tmp_path):
    labels = np.repeat(np.arange(4), 10)
    train, test, _ = split.split_off(ImageFiles(tmp_path, names(40), ""), names(40), labels)
    assert np.bincount(test.labels).tolist() == [2] * 4 and train.domains is None is test.domains


@pytest.mark.parametrize(
    ("release", "images"),
    [
        (office31.RELEASE, [2_817, 498, 795]),
        (office_home.RELEASE, [2_427, 4_365, 4_439, 4_357]),
        (image_clef.RELEASE, [600] * 4),
    ],
)
def test_published_sizes_of_the_domains_give_the_sizes_of_our_splits(release, images):
    domains = np.repeat(np.arange(len(images)), images)
    test = split.proportional(domains, round(split.SHARE * len(domains)))
    assert [tested for _, tested in release.per_domain.values()] == test.tolist()
    assert [sum(both) for both in release.per_domain.values()] == images
    assert (release.train + release.test, release.test) == (sum(images), test.sum())
