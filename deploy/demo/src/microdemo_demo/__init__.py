"""Demo data, the same at every run.

* people, catalogue: what there is, written down.
* batches, rhythm, plan: who orders what, and when; pure functions of a batch's name.
* accounts, stock, history: one database each: what of that is there, and how the rest gets in.
* seeding: the order of it all, so that a run that was killed is finished by the next one.
* environment, caches: where the databases are; what running services still remember.
"""
