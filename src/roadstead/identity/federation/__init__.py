"""Signing in without a stored secret: tokens of issuers that are trusted, such as those of a CI."""
