"""The accounts of people: what may be asked about them, and what changes them."""
