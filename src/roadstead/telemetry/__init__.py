"""How the program tells what it does: the clock, logs, the access log."""
