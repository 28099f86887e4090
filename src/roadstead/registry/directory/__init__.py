"""Repositories as people administer them: lists, descriptions, deletion, transfer to another project."""
