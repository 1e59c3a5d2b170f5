"""Intervals, paired tests, and picture metrics."""
