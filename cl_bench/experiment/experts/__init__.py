"""Experts: weights for single tasks that others trained. They are found, held against θ₀, and measured once."""
