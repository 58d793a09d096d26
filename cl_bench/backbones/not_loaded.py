"""What the user can do about published weights that do not come."""

from cl_bench.runtime.errors import Missing


def not_loaded(weights: str, error: Exception) -> Missing:
    """The message for weights, named in words, that a library could not download, read or put into its model."""
    return Missing(
        f"{weights} could not be loaded: {' '.join(str(error).split())[:500]}\n"
        "Without a network, bring the file here by other means and name it: backbone.pretrained=path/to/weights"
    )
