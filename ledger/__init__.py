"""The books: a double-entry ledger that does everything it is asked at most once. It never imports Temporal.

Start reading at `rules.py`, the pure core; `book.py` is the public surface.
"""
