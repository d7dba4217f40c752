"""Many rows of pictures, masks and prompts: nothing lost, nothing twice."""
