"""The pure core: money, need, lifecycle, policy, release planning, retry and invariants.

It may not do input or output, keep global state, or import anything but the standard library;
time comes in as an argument, read from ``refunds.clock`` at the edge.
"""
