"""The durable queue: work that outlives the process that asked for it."""
