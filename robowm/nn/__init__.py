"""What networks share: blocks, quantisers, image tokenisers, model directories."""
