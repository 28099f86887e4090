"""Referrers: what points at a manifest as its subject."""
