"""Tags that may neither move nor go: rules of a project, and the gate that keeps them."""
