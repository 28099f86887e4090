"""The whole program, over real processes and real sockets."""
