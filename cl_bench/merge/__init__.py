"""The merge command: weight files in, one merged file out."""
