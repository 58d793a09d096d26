"""Data sets: one file per data set, each with a `load` that returns an `ImageDataset`."""
