"""Where bytes live.  The database is the only index; a store keeps keys and bytes and knows no digests."""
