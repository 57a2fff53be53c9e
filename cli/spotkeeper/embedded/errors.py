"""What can go wrong while the stack starts, each as one sentence for a person."""


class StackError(Exception):
    """The stack cannot run; the text is one sentence that says why and what to do."""


def sentence(error: OSError) -> str:
    """What the system refuses, and for which file if it is one."""
    return f"{error.filename}: {error.strerror}." if error.filename else f"{error}."
