"""What tests stand on: databases, examples, the corpus of bad inputs, and the checker of the books."""
