"""Blobs: finding them, serving them, mounting them."""
