"""What is pruned: checkpoints, where things are in them, their tasks, masks."""
