"""People and groups with a role in a project, and the roles that people make."""
