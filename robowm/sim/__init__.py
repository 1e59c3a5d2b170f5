"""Simulated arms: environments, scripted experts, vectorised rollouts, demonstrations."""
