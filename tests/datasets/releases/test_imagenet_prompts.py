import hashlib
import subprocess
import sys

import pytest

from cl_bench.datasets import image_clef, office31, office_home
from cl_bench.datasets.releases.imagenet_prompts import imagenet_prompts


def test_they_are_the_80_of_clips_authors():
    prompts = imagenet_prompts()
    assert len(set(prompts)) == 80 and all(prompt.count("{}") == 1 for prompt in prompts)
    assert prompts[0] == "a bad photo of a {}." and "itap of my {}." in prompts


@pytest.mark.parametrize(
    ("dataset", "digest"),
    [
        (office31, "024e1a94d30c8476c1dfad7a201fb21e0e42890e85205faecdcd775bbd621272"),
        (office_home, "de5d3692d4eb71c9d58434f5ecbbf3264580f901a5fa897321f96faffd609987"),
        (image_clef, "3e837c14c0949af0ea27474df630153e959c2794b979e4e944c12be801dd3f95"),
    ],
)
def test_prompts_of_the_data_sets_are_the_published_ones(dataset, digest):
    assert hashlib.sha256("\n".join(dataset.PROMPTS).encode()).hexdigest() == digest


@pytest.mark.parametrize(
    "name", ["imagenet_r", "cub200", "domainnet", "office31", "office_home", "image_clef", "folder"]
)
def test_a_data_set_is_imported_without_the_heavy_libraries(name):
    program = f"import sys, cl_bench.datasets.{name}; print(*{{'torch', 'open_clip', 'scipy'}} & set(sys.modules))"
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout.split() == []
