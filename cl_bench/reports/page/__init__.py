"""One self-contained page of tables, figures and every run: `html` puts together what the other files prepare."""
