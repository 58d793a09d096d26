"""The way of a pixel, in one room; read in this order:

`images` (what a data set is made of), `files`, `prepared` (the cache) and `resizing`, `transforms`
(what the encoder sees), `samples` (a task's selection) and `batches`.
"""
