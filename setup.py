"""The part of the build that `pyproject.toml` cannot say: a wheel holds the configurations inside the package."""

from setuptools import find_packages, setup

setup(
    packages=[*find_packages(include=["cl_bench*"]), "cl_bench.conf", "cl_bench.multirun_configs"],
    package_dir={"cl_bench.conf": "conf", "cl_bench.multirun_configs": "multirun_configs"},
)
