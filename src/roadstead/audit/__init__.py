"""Who did what, when, from where and with what outcome.  Everything above may write here; nothing here asks them."""
