"""Settings: what an operator may choose, where each value came from, and what it means."""
