"""Which classes or domains arrive in which order, as Avalanche benchmarks."""

from cl_bench.scenarios.class_incremental import ClassIncremental
from cl_bench.scenarios.domain_incremental import DomainIncremental
from cl_bench.scenarios.scenario import Experience, Scenario
from cl_bench.scenarios.several_datasets import SeveralDatasets

__all__ = ["ClassIncremental", "DomainIncremental", "Experience", "Scenario", "SeveralDatasets"]
