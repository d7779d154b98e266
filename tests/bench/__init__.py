"""The race's own rules: its arithmetic, its locks, its work and how it counts books, without the others installed."""
