"""Arms: the fixed-rate loop, the command gate, the log, emulated hardware."""
