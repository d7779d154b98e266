"""The project as its users meet it: real processes, started, asked, killed and stopped."""
