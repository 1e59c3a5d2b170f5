"""The latent action model: encoder, quantiser, decoder, losses, and the labeller."""
