"""One loop for everything, its checkpoints and loaders, and the stages that train."""
