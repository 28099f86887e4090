"""What happened, and telling it to whoever listens."""
