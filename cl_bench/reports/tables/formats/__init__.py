"""How a table is written: as Markdown, LaTeX, CSV, or on the terminal. `cells` says what all of them show."""
