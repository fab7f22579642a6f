"""Two photos of one view laid upon each other: a transform with its error, or the word that it cannot be told.

The pixels of neither photo are touched: what comes out is a similarity (turn, scale, shift), kept as data and undone
by leaving it out. Proposals come from features that both photos have (:mod:`.features`); blocks all over the photo then
measure how well one fits (:mod:`.blocks`), refine it, and say how far off it may be (:mod:`.align`).
"""
