"""Tables, from records to what is written: `papers` and `swept` make them, `formats/` writes them."""
