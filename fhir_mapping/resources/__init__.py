"""One module for each resource type that this product makes itself."""
