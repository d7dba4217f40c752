"""Training and evaluation data: sources, sprites, scenes, masks, shards."""
