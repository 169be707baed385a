"""Pieces put aside for orders, and the contract between the orders service and this one.

    (unseen) ─ reserve ─→ held ─ sell ─→ sold
        │         └────→ refused (for good)
        └─ release ─→ released ←─ release ─ held, sold

Each (order, epoch) is decided once; whatever is asked again is answered what was decided. The SQL functions in
``migrations/sql`` do the work, each in one round trip and one transaction.
"""
