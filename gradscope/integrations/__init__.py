"""Frameworks and trackers, one file each. Nothing here is imported unless you import it."""
