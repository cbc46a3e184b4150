"""The audit: what a random part of the pool, labelled without a suggestion, proves about the rest of it.

Who is drawn, how good student and teacher are, bounds under repeated looks, when to stop, what may be finished.
"""
