"""The list of repositories, and the list of extensions."""
