"""What can go wrong in the demo itself."""


class DemoError(RuntimeError):
    """The demo can't go on. The message is for the user."""
