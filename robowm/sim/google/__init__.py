"""SIMPLER's google-robot tasks, on the original package (SAPIEN 2.2.2), in its own interpreter."""
