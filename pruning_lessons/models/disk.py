"""A disk that is full, gone or read-only, said as such: whatever library was writing, and where."""

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO}
NATIVE = re.compile(r"\(os error (\d+)\)")  # how safetensors and tokenizers say it


@contextmanager
def disk_errors(argument: str, place) -> Iterator[None]:
    """Inside the `with`, what goes wrong because of the disk becomes an `OSError` that names the
    argument and the place; other errors pass.
    """
    try:
        yield
    except Exception as error:
        code = _code(error)
        if code not in FULL or str(getattr(error, "strerror", "")).startswith(f"{argument}: "):
            raise
        raise OSError(
            code, f"{argument}: {str(place)!r} cannot be written to: {os.strerror(code)}"
        ) from error


def _code(error: BaseException) -> int | None:
    """The system's number of an error, its own or that of the one behind it."""
    while error is not None:
        native = NATIVE.search(str(error))
        if isinstance(error, OSError) or native:
            return error.errno if isinstance(error, OSError) else int(native[1])
        error = error.__cause__
    return None
