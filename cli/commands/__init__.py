"""The commands as typer sees them: options, help texts, and what they are made into. `starter.py` registers them."""
