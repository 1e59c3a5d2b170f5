"""Policies: the flow-matching action decoder, chunk execution, transforms in pairs, LeRobot glue."""
