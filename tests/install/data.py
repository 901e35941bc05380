"""A user's own module that happens to have the name of one of our packages."""

ROWS = [1, 2, 3]
