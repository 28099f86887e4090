"""Uploads: from the first byte of a blob to its digest."""
