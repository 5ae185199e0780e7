"""Which concepts to read next, one policy a file.

`score(view, settings, *, seed)` gives each concept a number; those with the largest are read first, and inf
says that nothing is known yet. What a policy looks at comes from contexts of the roles fit and tune.
"""
