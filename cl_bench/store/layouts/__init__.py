"""How other libraries write the weights of the same models: what such files hold, as names and tensors."""
