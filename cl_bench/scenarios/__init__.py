"""Scenarios: which classes, domains or data sets arrive in which order, as Avalanche benchmarks."""

from cl_bench.scenarios.avalanche import Avalanche
from cl_bench.scenarios.class_incremental import ClassIncremental
from cl_bench.scenarios.data_incremental import DataIncremental
from cl_bench.scenarios.domain_incremental import DomainIncremental
from cl_bench.scenarios.scenario import Experience, Scenario
from cl_bench.scenarios.several_datasets import SeveralDatasets

__all__ = [
    "Avalanche",
    "ClassIncremental",
    "DataIncremental",
    "DomainIncremental",
    "Experience",
    "Scenario",
    "SeveralDatasets",
]
