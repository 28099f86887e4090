"""Groups of people: what is granted to a group, everybody in it has."""
