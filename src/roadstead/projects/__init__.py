"""What a caller may do, and where.  The one place that decides, for `/v2`, jobs and everything after."""
