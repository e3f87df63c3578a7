"""Networks; they know neither the loop nor the recipe."""
