"""Tag lists."""
