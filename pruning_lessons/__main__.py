"""`python -m pruning_lessons CHECKPOINT TEXTS --out FOLDER`: see `--help`."""

from .shipping.command import main

raise SystemExit(main())
