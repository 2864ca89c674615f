"""A seal on saved weights: checksums in their file's header, so that damage is seen.

A safetensors file begins with the length of its header (8 bytes, little-endian), then comes the
header, JSON, then the tensors. Its `__metadata__` takes texts of anybody: other libraries pass over
ours, and a file that they write anew has no seal.
"""

import json
import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO
from zlib import crc32

KEY, WEIGHTS = "pruning_lessons", "weights"
CHUNK = 2**22
LARGEST = 10**8  # bytes of a header, as safetensors has it


def seal(file: Path, beside: Iterable[Path]) -> None:
    """Put checksums of a file of weights, and of what is read with it, into its header."""
    with open(file, "rb") as old, open(file.with_name(f"{file.name}.part"), "wb") as new:
        header = _header(old)
        start = old.tell()
        sums = {path.relative_to(file.parent).as_posix(): _sum(path) for path in beside}
        sums[WEIGHTS] = _checksum(header, old)
        header["__metadata__"] = header.get("__metadata__", {}) | {KEY: json.dumps(sums)}
        text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
        text += b" " * (-len(text) % 8)
        new.write(len(text).to_bytes(8, "little") + text)
        old.seek(start)
        shutil.copyfileobj(old, new, CHUNK)
    shutil.copymode(file, new.name)
    os.replace(new.name, file)


def changed(file: Path, weights: bool = True) -> list[str]:
    """What is no longer as it was sealed: names of files beside it; `ValueError` for its own
    tensors (with `weights`). Nothing where there is no seal.
    """
    with open(file, "rb") as stored:
        header = _header(stored)
        sealed = header.get("__metadata__", {}).get(KEY)
        if sealed is None:
            return []
        sums = json.loads(sealed)
        if weights and _checksum(header, stored) != sums.pop(WEIGHTS):
            raise ValueError("its checksum is not that of when it was saved")
    sums.pop(WEIGHTS, None)
    there = {name: file.parent / name for name in sums}
    return [name for name, path in there.items() if path.is_file() and _sum(path) != sums[name]]


def _header(stored: BinaryIO) -> dict:
    length = int.from_bytes(stored.read(8), "little")
    header = json.loads(stored.read(min(length, LARGEST)))
    if not isinstance(header, dict):
        raise ValueError("its header is no JSON object")
    return header


def _checksum(header: dict, stored: BinaryIO) -> int:
    """Of names, types, shapes and what follows in the file."""
    names = {name: facts for name, facts in header.items() if name != "__metadata__"}
    return _of_rest(stored, crc32(json.dumps(names, sort_keys=True).encode()))


def _sum(file: Path) -> int:
    with open(file, "rb") as content:
        return _of_rest(content)


def _of_rest(content: BinaryIO, found: int = 0) -> int:
    while part := content.read(CHUNK):
        found = crc32(part, found)
    return found
