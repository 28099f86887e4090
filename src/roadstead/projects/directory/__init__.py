"""The projects themselves: making, finding, changing and deleting them."""
