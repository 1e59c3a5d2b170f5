"""Optical flow, camera motion and forward-backward masks."""
