"""Graph passes: gradients, simplification, fusion and lowering."""
