"""Heads: one matrix of class rows for the whole scenario, made before training and never merged."""
