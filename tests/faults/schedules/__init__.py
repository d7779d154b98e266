"""Two actors on one ledger, every order in which they can take their steps, one after the other."""
