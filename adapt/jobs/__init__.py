"""One file a command, and what several of them do; nothing below knows a recipe from end to end.

`fit`, `plan`, `evaluate`, `predict`, `merge`, `push`, `export`, `prepare` and `warming` are called by the command line;
the others are their parts.
"""
