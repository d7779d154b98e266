"""What the disk may do to the books: a small program on them, and the system calls between it and the disk."""
