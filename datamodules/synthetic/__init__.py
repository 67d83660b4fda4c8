"""Images drawn at random, with exact masks: what a model is pretrained on."""
