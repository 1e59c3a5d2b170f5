"""World models: the contract, and one file per family."""
