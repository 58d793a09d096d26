"""How messages name classes and words: the first ten, and how many more there are."""

from collections.abc import Iterable, Sequence

from cl_bench.heads.alike import Pair, clusters

_MOST = 10


def listed(items: Sequence[str], separator: str = ", ") -> str:
    """The first ten items and the number of the others: `a, b, … (3 more)`."""
    rest = len(items) - _MOST
    return separator.join(items[:_MOST]) + (f"{separator}… ({rest} more)" if rest > 0 else "")


def named_clusters(pairs: Iterable[Pair], class_names: Sequence[str]) -> str:
    """The classes of the pairs, cluster by cluster: `'A' and 'a'; 2 classes named 'digit 0'`."""
    return listed([_cluster([repr(class_names[label]) for label in cluster]) for cluster in clusters(pairs)], "; ")


def _cluster(names: Sequence[str]) -> str:
    different = list(dict.fromkeys(names))
    if len(different) == 1:
        return f"{len(names)} classes named {names[0]}"
    if len(different) > _MOST:
        return listed(different)
    return f"{', '.join(different[:-1])} and {different[-1]}"
