"""How other libraries write the weights of the same models: reads such files as names and tensors."""
