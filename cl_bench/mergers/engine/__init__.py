"""How rules are run: each kind of merger has its way in one file here."""
