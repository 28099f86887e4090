"""Artifacts: manifests as people look at them, with their tags, labels, accessories and what they are made of."""
