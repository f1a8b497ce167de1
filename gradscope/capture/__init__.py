"""Torch to facts: the only code that touches a live torch program."""
