"""Files in: decode by timestamp, find shots, judge them, write the dataset."""
