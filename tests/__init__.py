"""The tests: sentences about behaviour, on real databases, topped by an independent model that must agree."""
