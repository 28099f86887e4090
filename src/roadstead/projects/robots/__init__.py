"""Robots: accounts for machines, in a project or in the system."""
