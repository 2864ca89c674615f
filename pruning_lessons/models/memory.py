"""When memory does not suffice: a `MemoryError` that says what to lower, before or after; and what
is free goes back to the system.
"""

import ctypes
import errno
import os
import re
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

try:
    import resource
except ImportError:  # Windows
    resource = None

FEWER = (
    "lower the batch size or the texts' length (max_length), give fewer sentences for calibration, "
    "or cut the vocabulary first (prune_vocabulary)"
)
SMALLER = (
    "let go of models that are no longer needed (del model), close other notebooks, or cut the "
    "vocabulary first (prune_vocabulary)"
)
# PyTorch on CPUs and accelerators, NumPy, onnxruntime, the system: each has its own words. oneDNN
# says only that it could not make what it needs memory for.
WORDS = ("out of memory", "not enough memory", "allocate memory", "bad_alloc", "bad allocation")
WORDS += ("could not create a primitive",)
SLACK = 3 * 2**26  # bytes by which the process may grow before what is free goes back
AMOUNT = re.compile(r"tried to allocate ([\d.]+ ?(?:[KMGT]i?B|bytes))|allocate ([\d.]+ ?[KMGT]iB)")
CGROUPS = (  # limit, use, a file with the part of the use that can be dropped, and its name there
    ("memory.max", "memory.current", "memory.stat", "inactive_file"),
    (
        "memory/memory.limit_in_bytes",
        "memory/memory.usage_in_bytes",
        "memory/memory.stat",
        "total_inactive_file",
    ),
)


class NotEnoughMemory(MemoryError):
    """Says what to lower; its cause is the error of the library that asked for memory in vain."""


@contextmanager
def advised(advice: str = FEWER) -> Iterator[None]:
    """Inside the `with`, and in a function that it decorates, every library's way to say that
    memory is used up becomes a `MemoryError` with this advice.

    The innermost advice stays. What the failed functions held is let go of: an error that a
    notebook keeps would else keep it, too.
    """
    try:
        yield
    except Exception as error:
        if isinstance(error, NotEnoughMemory) or not used_up(error):
            raise
        cause = error
        while cause is not None:
            traceback.clear_frames(cause.__traceback__)
            cause = cause.__cause__
        found = AMOUNT.search(str(error))
        amount = f" ({found[1] or found[2]} more were asked for)" if found else ""
        raise NotEnoughMemory(f"memory: is used up{amount}: {advice}") from error


def used_up(error: BaseException | None) -> bool:
    """Whether this error, or one that it was raised from, says that there is no memory left."""
    while error is not None:
        if isinstance(error, MemoryError) or getattr(error, "errno", None) == errno.ENOMEM:
            return True
        if any(word in str(error).lower() for word in WORDS):
            return True
        error = error.__cause__
    return False


def room_for(needed: int, what: str, advice: str = FEWER) -> None:
    """`MemoryError`, before anything is done, if so many bytes cannot be had.

    Systems that promise more than they have (Linux, containers) kill a process that takes it, with
    no error to advise on. needed: bytes that will certainly be held on the CPU. what: "hidden
    states of 2,048 sentences".
    """
    free = available()
    if free is not None and needed > free:
        size = lambda n: f"{n / 1e9:.1f} GB" if n >= 1e8 else f"{n / 1e6:.1f} MB"
        raise NotEnoughMemory(
            f"memory: {what} take {size(needed)}, {size(free)} are free: {advice}"
        )


def available() -> int | None:
    """Bytes that this process can still get: the machine's, its container's, its own limit's.

    None where nobody tells (macOS and Windows).
    """
    found = [_of_machine(), *map(_of_container, CGROUPS), _of_process()]
    return min((n for n in found if n is not None), default=None)


class _Heap:
    """The heap of the C library: glibc's, or one that keeps nothing back.

    glibc keeps freed blocks for later ones. Weights and hidden states of ever new sizes seldom fit
    the holes that others have left, so the heap grows, though little of it is in use.
    """

    def __init__(self):
        self.held = 0  # bytes, when it was last trimmed, or less
        self.trim = None
        with suppress(OSError, TypeError, AttributeError):  # macOS, Windows, musl
            self.trim = ctypes.CDLL(None).malloc_trim

    def give_back(self) -> None:
        """Let the system have what is free, if the process has grown by `SLACK` since the last
        time. To look takes microseconds, to give back some milliseconds; nothing in use is touched.
        """
        now = resident()
        if self.trim is None or now is None:
            return
        if now > self.held + SLACK:
            self.trim(0)
            self.held = now = resident()
        self.held = min(self.held, now)


def resident() -> int | None:
    """Bytes of memory that this process takes now; None where the system does not say."""
    with suppress(OSError, ValueError):
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")
    return None


give_back = _Heap().give_back


def _of_machine() -> int | None:
    with suppress(OSError, KeyError, ValueError):
        rows = dict(row.split(":") for row in Path("/proc/meminfo").read_text().splitlines())
        return 1024 * sum(int(rows[name].split()[0]) for name in ("MemAvailable", "SwapFree"))
    return None


def _of_container(names: tuple[str, str, str, str]) -> int | None:
    limit, use, facts, droppable = names
    with suppress(OSError, KeyError, ValueError):  # "max" is no number
        read = lambda name: Path("/sys/fs/cgroup", name).read_text()
        rows = dict(row.split() for row in read(facts).splitlines())
        return max(0, int(read(limit)) - int(read(use)) + int(rows[droppable]))
    return None


def _of_process() -> int | None:
    limit = resource.getrlimit(resource.RLIMIT_AS)[0] if resource else -1
    if resource is None or limit == resource.RLIM_INFINITY:
        return None
    with suppress(OSError):
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        return max(0, limit - pages * os.sysconf("SC_PAGE_SIZE"))
    return None
