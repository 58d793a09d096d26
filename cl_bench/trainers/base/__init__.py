"""What all ways of learning share."""
