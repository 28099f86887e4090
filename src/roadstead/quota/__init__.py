"""How much may be kept, and how much is: bytes charged to projects, and limits on how many of anything."""
