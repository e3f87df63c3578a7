"""From a recipe to a judged run folder."""
