"""One module a lesson: its exercises, each with the right answer and the usual wrong ones."""
