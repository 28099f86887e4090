"""Requests that we make: one outgoing HTTP client, and the rules for where it may go."""
