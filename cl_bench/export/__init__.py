"""Weights of finished runs as folders that Hugging Face's `transformers` loads."""
