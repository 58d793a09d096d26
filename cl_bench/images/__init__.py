"""The way of a pixel: from files, through the prepared cache and the transforms, to batches."""
