"""Immutable tags: rules of a project that let a tag be made, and then neither moved nor removed."""
