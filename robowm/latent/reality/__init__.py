"""Are the latents real? A battery of tests, each beside its baselines, on clips not trained on."""
