"""maestro runs a backlog of coding tasks in parallel and lands the finished work."""

__version__ = "0.1.0"
