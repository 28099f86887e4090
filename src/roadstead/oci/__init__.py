"""The OCI specifications as values: digests, names, media types, manifests, ranges.  No I/O, no clock."""
