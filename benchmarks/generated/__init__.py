"""A hospital group's record from a seed: up to a million photos with all that surrounds them, and the truth about lots.

``python -m benchmarks.generated --photos 100000 --database sqlite:///clinic.sqlite3 --truth truth.sqlite3`` writes a
database that the product opens as its own, and beside it what nobody has to find out: which patient was given which
lot, and how that was written down. The same seed gives the same record at every run, and a run that was ended goes on
where it stopped.
"""
