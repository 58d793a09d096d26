"""What every process needs, whatever it computes: devices, signals, seeds, messages, instantiation."""
