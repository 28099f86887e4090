"""Two databases, one set of functions: engines, units of work, tables.  Calls nothing above floor 0."""
