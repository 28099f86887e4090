"""The same work done by Roadstead and by its peers, in turns: `python -m benchmarks --help`."""
