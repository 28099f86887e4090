"""Words to put on artifacts: the registry's, and each project's own."""
