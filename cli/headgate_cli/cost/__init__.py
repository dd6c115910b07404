"""What a stack costs: the figures with their sources, and the arithmetic of `headgate cost`."""
