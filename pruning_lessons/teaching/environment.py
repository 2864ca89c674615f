"""Say in words what is wrong with a learner's environment.

Before a workshop `python -m pruning_lessons.teaching.environment` runs the course's model once and
prints a short code to send to the teacher.
"""

import platform
import sys
import zlib
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


def ready_code() -> str:
    """Run the bundled model on a few sentences, and return what a teacher needs to know in a line
    that can be read out: `py3.11-linux-torch2.13-ok-5f`. The last two characters tell whether it
    was copied right.

    Raises whatever stops the model from running here.
    """
    import torch

    from ..measuring.data import load_intents
    from ..measuring.scores import evaluate
    from ..models.checkpoints import load

    model, tokenizer = load()
    right = evaluate(model, tokenizer, load_intents("validation", limit=50, seed=0)).accuracy
    python, version = (
        ".".join(v.split(".")[:2]) for v in (platform.python_version(), torch.__version__)
    )
    parts = [f"py{python}", platform.system().lower(), f"torch{version}"]
    parts.append("ok" if right > 0.8 else f"wrong{right:.0%}")
    return with_checksum("-".join(parts))


def with_checksum(code: str) -> str:
    return f"{code}-{zlib.crc32(code.encode()) % 256:02x}"


def is_code(text: str) -> bool:
    """Whether a code was copied right, and says that all is well."""
    code = text.strip().lower()
    return with_checksum(code.rpartition("-")[0]) == code and "-ok-" in code


def main() -> int:
    well = check_environment()
    code = ready_code()
    print(f"Send this to your teacher: {code}")
    return 0 if well and is_code(code) else 1


if __name__ == "__main__":
    sys.exit(main())
