"""How fast, against what: medians and ratios of one run, each beside its target. Run by `make bench`."""
