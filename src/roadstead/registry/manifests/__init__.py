"""Manifests: byte-exact in, byte-exact out."""
