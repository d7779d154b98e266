"""The world outside the books: networks that take a payment and carry it on. Nothing here knows the books."""
