"""Heads: one matrix for the whole scenario, made before training and never merged."""
