"""How runs are started: one process or many, one run or a sweep."""
