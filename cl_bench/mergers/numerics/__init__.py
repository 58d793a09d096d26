"""Linear algebra and selection whose bits depend neither on the block size nor on the number of threads."""
