"""Say in words what is wrong with a learner's environment."""

import platform
import sys
from importlib import metadata

NEEDED = {
    "torch": (2, 9),
    "transformers": (5, 15),
    "safetensors": (0, 4),
    "matplotlib": (3, 8),
    "bertviz": (1, 4),
    "ipywidgets": (7, 7),
}


def check_environment() -> bool:
    """Print what this course runs on here, and one line for every problem with what to do; True if
    there is none.
    """
    problems = []
    if not (3, 10) <= sys.version_info[:2] < (3, 14):
        problems.append(
            f"Python is {platform.python_version()}: the course is tested with 3.10 to 3.13. "
            f"Use one of those."
        )
    found = {}
    for name, least in NEEDED.items():
        wanted = ".".join(map(str, least))
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            problems.append(
                f'{name} is not installed. Run: pip install "{name}>={wanted}", then restart '
                f"the kernel."
            )
            continue
        numbers = tuple(
            int("".join(filter(str.isdigit, part)) or 0)
            for part in found[name].split("+")[0].split(".")[:2]
        )
        if numbers < least:
            problems.append(
                f"{name} is {found[name]}, older than {wanted}. Run: pip install -U {name}, "
                f"then restart the kernel."
            )
    import torch

    print(f"Python {platform.python_version()}, " + ", ".join(f"{k} {v}" for k, v in found.items()))
    print(
        f"{torch.get_num_threads()} CPU threads; GPU: "
        f"{torch.cuda.get_device_name() if torch.cuda.is_available() else 'none, none is needed'}"
    )
    for problem in problems:
        print("PROBLEM: " + problem)
    if not problems:
        print("All is well.")
    return not problems
