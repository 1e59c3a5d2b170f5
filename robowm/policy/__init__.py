"""Policies: the flow-matching decoder, chunk execution, transforms in pairs, LeRobot glue."""
