"""Writers of graphs into files of other programs."""
