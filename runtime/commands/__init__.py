"""The commands of the terminal, one module per subject.

They may not hold a rule about refunds: they read arguments, call handlers and show what came of it.
"""
