"""What single ways of learning are made of."""
